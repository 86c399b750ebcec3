"""The suite itself."""

from typing import get_args

import msgspec
import pytest

from corekit.contracts.payments import ErrorClass, NotAttempted
from corekit.testing.payments.rig import NOT_ATTEMPTED, UNKNOWN, ProviderRig, Trouble, Verb
from corekit.testing.payments.steps import (
    a_call,
    a_reference,
    authorized,
    connections,
    demand_unknown,
    judges,
    needs,
    prepared_for,
    refused,
    same,
    troubled,
    true,
)
from corekit.values import Money


class ProviderContract:
    """The suite; all amounts are 1000 minor units, or parts of it."""

    async def test_one_key_moves_money_once(self, rig: ProviderRig) -> None:
        """Whatever is sent again under its key answers the same, and moves nothing."""
        call = a_call(rig)
        paid = await authorized(rig, call)
        before = rig.effects()
        again = await rig.provider.create(call)
        same(again.provider_ref, paid.provider_ref, "a repeated call is about the same object")
        same(rig.effects(), before, "a repeated call moves nothing")
        same([amount for kind, amount in before if kind == "capture"], [1000], "it was taken once")

    async def test_one_key_is_one_call(self, rig: ProviderRig) -> None:
        """A key that comes with another amount may have worked before: a person has to look."""
        needs(rig.provider.capabilities.keys, "keys")
        call = a_call(rig)
        await authorized(rig, call)
        before = rig.effects()
        other = msgspec.structs.replace(call, amount=Money(999, rig.currency))
        await demand_unknown(rig.provider.create(other), mismatch=True)
        same(rig.effects(), before, "it moves nothing")

    async def test_it_is_found_by_our_reference(self, rig: ProviderRig) -> None:
        """And a reference that it never saw is none, not an error."""
        needs(rig.provider.capabilities.lookup, "lookup")
        call = a_call(rig)
        paid = await authorized(rig, call)
        found = await rig.provider.lookup(call.reference)
        true(found is not None, "it is found")
        same((found.provider_ref, found.state), (paid.provider_ref, "succeeded"), "it is the same") if found else None
        same(await rig.provider.lookup(a_reference()), None, "what it never saw is not found")

    @pytest.mark.parametrize("verb", ["create", "refund"])
    @pytest.mark.parametrize("kind", NOT_ATTEMPTED)
    async def test_what_was_not_attempted(self, rig: ProviderRig, kind: Trouble, verb: Verb) -> None:
        """Refused before anything was done: it is sent again; without rights somebody has to act."""
        prepared = await prepared_for(rig, verb)
        before = rig.effects()
        async with troubled(rig, kind, verb) as method:
            call = msgspec.structs.replace(prepared, method=method if verb == "create" else None)
            try:
                got = await getattr(rig.provider, verb)(call)
            except NotAttempted as why:
                same(why.refused, NOT_ATTEMPTED[kind], "`refused` says whether somebody has to act")
            else:
                pytest.fail(f"not attempted, and it said {got.state}")
        same(rig.effects(), before, "nothing moved")

    @pytest.mark.parametrize("verb", ["create", "refund"])
    @pytest.mark.parametrize("kind", UNKNOWN)
    async def test_what_is_not_known(self, rig: ProviderRig, kind: Trouble, verb: Verb) -> None:
        """Sent, and no answer that can be understood: it may have happened."""
        prepared = await prepared_for(rig, verb)
        async with troubled(rig, kind, verb) as method:
            call = msgspec.structs.replace(prepared, method=method if verb == "create" else None)
            await demand_unknown(getattr(rig.provider, verb)(call), mismatch=UNKNOWN[kind])

    @pytest.mark.parametrize("verb", ["create", "refund"])
    async def test_what_is_invalid_was_rejected(self, rig: ProviderRig, verb: Verb) -> None:
        """A validation error is a bug of ours, and final."""
        prepared = await prepared_for(rig, verb)
        async with troubled(rig, "invalid", verb) as method:
            call = msgspec.structs.replace(prepared, method=method if verb == "create" else None)
            said = await getattr(rig.provider, verb)(call)
        same((said.state, said.error_class), ("failed", "rejected"), "it failed, rejected")

    async def test_a_decline_has_a_class(self, rig: ProviderRig) -> None:
        """So that the payer can be told what to do."""
        async with troubled(rig, "declined", "create") as method:
            said = await rig.provider.create(msgspec.structs.replace(a_call(rig), method=method))
            if said.state not in {"failed", "canceled"}:
                said = await rig.provider.fetch(said.provider_ref or "")
        same(said.state, "failed", "it failed")
        true(said.error_class in get_args(ErrorClass), "it has a class of ours")

    async def test_what_is_taken_goes_back(self, rig: ProviderRig) -> None:
        """In parts where it can, each once however often it is sent, and never more than was taken."""
        provider, can = rig.provider, rig.provider.capabilities
        paid = await authorized(rig, a_call(rig))
        part = 400 if can.partial_refund else 1000
        call = a_call(rig, "refund", part, paid.provider_ref)
        first, second = await provider.refund(call), await provider.refund(call)
        same(first.provider_ref, second.provider_ref, "a repeated refund is the same")
        true(first.state in {"succeeded", "pending"}, "it is on its way")
        true(first.provider_ref != paid.provider_ref, "a refund is an object of its own")
        same([one for one in rig.effects() if one[0] == "refund"], [("refund", part)], "it went back once")
        over = await provider.refund(a_call(rig, "refund", 1001 - part, paid.provider_ref))
        same((over.state, over.error_class), ("failed", "rejected"), "more than the rest is refused")
        if can.lookup:
            found = await provider.lookup(call.reference)
            same(found and found.provider_ref, first.provider_ref, "it is found by our reference")

    async def test_what_is_held_is_taken(self, rig: ProviderRig) -> None:
        """Once, however often it is sent."""
        held = await authorized(rig, msgspec.structs.replace(a_call(rig), capture_method="manual"))
        same(held.captured, None, "it is only held")
        call = a_call(rig, "capture", 1000, held.provider_ref)
        taken = [await rig.provider.capture(call) for _ in range(2)]
        same([one.state for one in taken], ["succeeded"] * 2, "it is taken")
        same([one for one in rig.effects() if one[0] == "capture"], [("capture", 1000)], "it was taken once")

    async def test_what_is_held_is_taken_in_parts(self, rig: ProviderRig) -> None:
        """Where it says so."""
        needs(rig.provider.capabilities.multicapture, "multicapture")
        held = await authorized(rig, msgspec.structs.replace(a_call(rig), capture_method="manual"))
        for amount in (300, 700):
            call = a_call(rig, "capture", amount, held.provider_ref)
            taken = await rig.provider.capture(msgspec.structs.replace(call, final=amount == 700))  # noqa: PLR2004  # the last
            same(taken.state, "succeeded", "it is taken")
        same([one for one in rig.effects() if one[0] == "capture"], [("capture", 300), ("capture", 700)], "in parts")

    async def test_what_is_held_is_released(self, rig: ProviderRig) -> None:
        """Where it says so; else it is refused and not pretended."""
        held = await authorized(rig, msgspec.structs.replace(a_call(rig), capture_method="manual"))
        gone = await rig.provider.void(a_call(rig, "void", 1000, held.provider_ref))
        same(gone.state, "succeeded" if rig.provider.capabilities.void else "failed", "as its capabilities say")

    async def test_what_happened_is_listed(self, rig: ProviderRig) -> None:
        """From the beginning, each with its state."""
        paid = await authorized(rig, a_call(rig))
        listed = [one async for one in rig.provider.list_since("")]
        true(any(one.provider_ref == paid.provider_ref and one.state == "succeeded" for one in listed), "it is listed")

    async def test_only_its_own_notices_are_read(self, rig: ProviderRig) -> None:
        """One that was changed, or signed by nobody, is refused with a ValueError."""
        judges(rig, "notices")
        for headers, raw in [({}, b"{}"), ({}, b""), ({"x-signature": "00"}, b"\xff\xfe")]:
            refused(rig.provider, headers, raw)
        await authorized(rig, a_call(rig))
        told = rig.notices()
        true(bool(told), "what happened is told of")
        for headers, raw in told:
            events = rig.provider.verify(headers, raw)
            true(all(one.id and one.type for one in events), "each has an id and a type")
            upper = {name.title(): value for name, value in headers.items()}
            same([one.id for one in rig.provider.verify(upper, raw)], [one.id for one in events], "any case of names")
            refused(rig.provider, headers, raw + b" ")
            refused(rig.provider, {name: value[:-1] for name, value in headers.items()}, raw)
            refused(rig.provider, dict.fromkeys(headers, ""), raw)
            refused(rig.provider, dict.fromkeys(headers, "\u0660"), raw)

    async def test_it_speaks_to_nobody_else(self, rig: ProviderRig) -> None:
        """A payment and its refund connect to its own service alone; what it says can be stored, and has no secret."""
        with connections() as reached:
            call = a_call(rig)
            paid = await authorized(rig, call)
            back = await rig.provider.refund(a_call(rig, "refund", 1000, paid.provider_ref))
        true(rig.addresses.issuperset(reached), "no other place")
        for said in (paid, back):
            text = msgspec.json.encode(said).decode()
            true(not any(secret in text for secret in rig.secrets), "no secret")
