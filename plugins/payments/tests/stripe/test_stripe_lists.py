"""What the adapter finds, lists and is told: look-ups, reconciliation, settlement, notices."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from stripe_calls import call, held  # beside this file
from stripe_stand_in import NOW, StandIn

from corekit.contracts.payments import Evidence
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit_payments.signing import sign
from corekit_payments.stripe.provider import StripeProvider


async def listed(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


async def test_lookups(provider: StripeProvider, stand_in: StandIn, clock: FakeClock) -> None:
    for _ in range(230):  # more than two pages
        stand_in._create({"amount": "1", "currency": "inr", "metadata": {}, "capture_method": "manual"})
    ref = await held(provider)
    for _ in range(110):
        stand_in._create({"amount": "1", "currency": "inr", "metadata": {}, "capture_method": "manual"})
    await provider.capture(call("capture", 2, 300, provider_ref=ref))
    await provider.refund(call("refund", 3, 100, provider_ref=ref))
    found = [await provider.lookup(f"REF{number}") for number in (1, 2, 3, 4)]
    assert [one and (one.state, one.amount and one.amount.minor) for one in found] == [
        ("succeeded", 1000), ("succeeded", 300), ("succeeded", 100), None,
    ]  # fmt: skip
    assert {one.path for one in stand_in.asked if one.method == "GET"} == {
        "/v1/payment_intents", "/v1/refunds",
    }  # fmt: skip
    clock.move(9 * 86400)
    assert await provider.lookup("REF1") is None  # it is not among what is new


async def test_lists_name_captures_and_refunds(provider: StripeProvider) -> None:
    ref = await held(provider)
    await provider.capture(call("capture", 2, 300, provider_ref=ref))
    back = await provider.refund(call("refund", 3, 100, provider_ref=ref))
    found: list[Evidence] = await listed(provider.list_since(str(NOW)))
    assert [(one.provider_ref, one.amount and one.amount.minor) for one in found] == [
        (ref, 1000), (f"{ref}/REF2", 300), (back.provider_ref, 100),
    ]  # fmt: skip
    assert [one.reference for one in found] == ["REF1", "REF2", "REF3"]  # by which reconciliation finds its operation
    assert await listed(provider.list_since(str(NOW + 1000))) == []


async def test_what_was_settled(provider: StripeProvider, stand_in: StandIn) -> None:
    paid, ref = await provider.create(call(number=9)), await held(provider)
    await provider.capture(call("capture", 2, 300, provider_ref=ref))
    charge = {"object": "charge", "id": "ch_1", "currency": "inr", "amount": 1000}
    lines = [
        ("charge", 1000, {**charge, "payment_intent": paid.provider_ref, "metadata": {}}),
        ("charge", 300, {**charge, "payment_intent": ref, "metadata": {"held": "yes"}}),
        ("refund", -100, {"object": "refund", "id": "re_1", "currency": "inr", "amount": 100}),
        ("adjustment", -50, {"object": "dispute", "id": "du_1", "currency": "inr", "amount": 50}),
        ("charge", 12, {**charge, "payment_intent": paid.provider_ref, "currency": "jpy", "amount": 1500}),
        ("stripe_fee", -7, None),
    ]
    for number, (type_, amount, source) in enumerate(lines):
        stand_in.objects[f"txn_{number}"] = {
            "id": f"txn_{number}", "object": "balance_transaction", "type": type_, "amount": amount, "fee": 3,
            "currency": "inr", "available_on": NOW, "created": NOW - number, "source": source,
        }  # fmt: skip
    rows = await listed(provider.settlement_rows(date(2029, 12, 31)))
    first = await listed(provider.settlement_rows(date(2030, 1, 1)))
    shown = [(one.kind, one.amount.minor, one.amount.currency, one.provider_ref) for one in first + rows[::-1]]
    assert shown == [
        ("capture", 1000, "INR", paid.provider_ref),
        ("capture", 300, "INR", f"{ref}/REF2"),
        ("refund", 100, "INR", "re_1"),
        ("dispute", -50, "INR", "du_1"),
        ("capture", 1500, "JPY", paid.provider_ref),
        ("fee", -7, "INR", None),
    ]


def notice(type_: str, of: dict[str, Any], **more: Any) -> bytes:
    event = {"id": "evt_1", "object": "event", "type": type_, "livemode": False, "created": NOW, "data": {"object": of}}
    return json.dumps(event | more).encode()


async def test_notices(provider: StripeProvider, clock: FakeClock) -> None:
    def told(raw: bytes) -> Any:
        (event,) = provider.verify({"Stripe-Signature": sign(raw, Secret("whsec_2"), clock.now())}, raw)
        return event

    intent = {"object": "payment_intent", "id": "pi_1", "metadata": {"reference": "REF1"}}
    event = told(notice("payment_intent.succeeded", intent))
    assert (event.id, event.provider_ref, event.reference, event.evidence) == ("evt_1", "pi_1", "REF1", None)
    charge = {"object": "charge", "id": "ch_1", "payment_intent": "pi_1", "metadata": {"reference": "REF1"}}
    assert told(notice("charge.refunded", charge)).provider_ref == "pi_1"
    dispute = {
        "object": "dispute", "id": "du_1", "payment_intent": "pi_1", "amount": 1000, "currency": "inr",
        "status": "needs_response", "reason": "fraudulent", "evidence_details": {"due_by": NOW + 86400},
        "payment_method_details": {"card": {"last4": "4242"}},
    }  # fmt: skip
    opened = told(notice("charge.dispute.created", dispute, livemode=True))
    assert (opened.live, opened.provider_ref) == (True, "pi_1")
    assert (opened.evidence.state, opened.evidence.stage, opened.evidence.provider_ref) == ("pending", "opened", "du_1")
    assert "4242" not in json.dumps(opened.evidence.raw)
    lost = told(notice("charge.dispute.closed", dispute | {"status": "lost"}))
    assert lost.evidence.state == "succeeded"
    for raw in (b"{}", b"[]", b"\xff", notice("x", {"object": "dispute"})):
        with pytest.raises(ValueError, match="does not read"):
            told(raw)
    with pytest.raises(ValueError, match="header"):
        provider.verify({}, notice("x", {}))
