"""What the suite does before it looks: calls, payments, and plain demands."""

import socket
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest

from corekit.contracts.payments import Evidence, Method, OperationKind, OutcomeUnknown, Provider, ProviderCall
from corekit.testing.payments.rig import ProviderRig, Row, Trouble, Verb
from corekit.values import Money


def a_call(
    rig: ProviderRig, kind: OperationKind = "authorize", amount: int = 1000, ref: str | None = None
) -> ProviderCall:
    """Make a call with a key and a reference of its own."""
    return ProviderCall(
        key=f"pop_{uuid4().hex[:26]}", reference=a_reference(), kind=kind, amount=Money(amount, rig.currency),
        payment="pay_contract", method=rig.method if kind == "authorize" else None, provider_ref=ref,
        reason="contract" if kind == "refund" else "",
    )  # fmt: skip


async def authorized(rig: ProviderRig, call: ProviderCall) -> Evidence:
    """Send an authorisation, be its payer where one is needed, and return what is known then."""
    said = await rig.provider.create(call)
    true(said.provider_ref is not None, "it has a name")
    if said.state == "requires_action":
        true(said.next_action is not None, "it says what the payer has to do")
        await rig.approve(said.provider_ref or "")
        said = await rig.provider.fetch(said.provider_ref or "")
    same((said.state, said.amount), ("succeeded", call.amount), "it succeeds with its amount")
    same(said.captured, call.amount if call.capture_method == "automatic" else None, "it is taken along if asked for")
    return said


async def prepared_for(rig: ProviderRig, verb: Verb) -> ProviderCall:
    """Make the call of a verb; before a refund somebody has paid."""
    if verb == "create":
        return a_call(rig)
    return a_call(rig, "refund", 1000, (await authorized(rig, a_call(rig))).provider_ref)


def judges(rig: ProviderRig, row: Row) -> None:
    """Skip what the rig says its stand-in cannot judge, with its reason."""
    if (why := rig.unjudged.get(row)) is not None:
        pytest.skip(f"its stand-in cannot judge {row if isinstance(row, str) else ' at '.join(row)}: {why}")


@asynccontextmanager
async def troubled(rig: ProviderRig, kind: Trouble, verb: Verb) -> AsyncGenerator[Method]:
    """Let calls of a verb meet a trouble; a rig that skips it by itself hides what was not judged."""
    judges(rig, (kind, verb))
    try:
        async with rig.trouble(kind, verb) as method:
            yield method
    except pytest.skip.Exception:
        pytest.fail(f"`unjudged` does not say that {kind} at {verb} is left out, and why")


async def demand_unknown(calling: Any, *, mismatch: bool) -> None:
    """Demand that a call ends unknown, raised or as evidence; with a person to look where it is a `mismatch`."""
    try:
        said = await calling
    except OutcomeUnknown as why:
        same(why.mismatch, mismatch, "`mismatch` says whether a person has to look")
    else:
        same((said.state, said.review), ("unknown", "unknown" if mismatch else None), "it is not known")


@contextmanager
def connections() -> Iterator[list[tuple[str, int]]]:
    """Note where sockets connect to."""
    reached: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        reached.append(address[:2] if isinstance(address, tuple) else address)
        connect(self, address)

    with mock.patch.object(socket.socket, "connect", noted):
        yield reached


def refused(provider: Provider, headers: Mapping[str, str], raw: bytes) -> None:
    """Demand that a notice is refused."""
    try:
        provider.verify(headers, raw)
    except ValueError:
        return
    pytest.fail("a notice that is not theirs was taken for one")


def a_reference() -> str:
    """Make a reference of its own."""
    return uuid4().hex[:20].upper()


def needs(can: bool, what: str) -> None:
    """Skip the test where a provider cannot."""
    if not can:
        pytest.skip(f"it has no {what}")


def same(got: object, wanted: object, said: str) -> None:
    """Demand that two things are equal."""
    if got != wanted:
        pytest.fail(f"{said}: {got!r}, not {wanted!r}")


def true(holds: bool, said: str) -> None:
    """Demand that something holds."""
    if not holds:
        pytest.fail(said)
