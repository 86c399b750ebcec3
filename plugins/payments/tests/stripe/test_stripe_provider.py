"""The adapter before a strict stand-in: keys, lost answers, refusals, look-ups, and what is kept of an answer."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from stripe_stand_in import NOW, StandIn  # beside this file

from corekit.contracts.payments import (
    CardMethod,
    Evidence,
    NotAttempted,
    OutcomeUnknown,
    ProviderCall,
    RedirectMethod,
    RedirectUrl,
    UseStripeSdk,
)
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.provider import StripeProvider
from corekit_payments.stripe.signing import sign


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.fromtimestamp(NOW + 60, UTC))


def call(kind: Any = "authorize", number: int = 1, amount: int = 1000, **more: Any) -> ProviderCall:
    given = {"method": CardMethod(token="pm_ok"), "currency": "INR", **more}
    return ProviderCall(
        key=f"pop_{number}", reference=f"REF{number}", kind=kind, amount=Money(amount, given.pop("currency")),
        payment="pay_1", **given,
    )  # fmt: skip


async def held(provider: StripeProvider) -> str:
    made = await provider.create(call(capture_method="manual"))
    assert (made.state, made.captured) == ("succeeded", None)
    return made.provider_ref or ""


async def listed(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


async def test_a_payment_and_its_refunds(provider: StripeProvider) -> None:
    paid = await provider.create(call())
    assert (paid.state, paid.amount, paid.captured) == ("succeeded", Money(1000, "INR"), Money(1000, "INR"))
    back = await provider.refund(call("refund", 2, 400, provider_ref=paid.provider_ref, reason="duplicate"))
    assert (back.state, back.amount, back.refunded) == ("succeeded", Money(400, "INR"), Money(400, "INR"))
    more = await provider.refund(call("refund", 3, 700, provider_ref=paid.provider_ref, reason="returned"))
    assert (more.state, more.error_class) == ("failed", "rejected")
    assert (await provider.fetch(back.provider_ref or "")).state == "succeeded"


async def test_what_is_held_is_taken_in_parts(provider: StripeProvider, stand_in: StandIn) -> None:
    ref = await held(provider)
    first = await provider.capture(call("capture", 2, 300, provider_ref=ref, final=False))
    rest = await provider.capture(call("capture", 3, 200, provider_ref=ref))
    assert [one.provider_ref for one in (first, rest)] == [f"{ref}/REF2", f"{ref}/REF3"]
    assert [(one.state, one.amount) for one in (first, rest)] == [
        ("succeeded", Money(300, "INR")),
        ("succeeded", Money(200, "INR")),
    ]
    sent = [dict(one.form).get("final_capture") for one in stand_in.asked if one.path.endswith("capture")]
    assert sent == ["false", None]
    assert (await provider.fetch(f"{ref}/REF2")).amount == Money(300, "INR")
    whole = await provider.fetch(ref)
    assert (whole.state, whole.amount, whole.captured) == ("succeeded", Money(1000, "INR"), Money(500, "INR"))
    over = await provider.capture(call("capture", 4, 1, provider_ref=ref))
    assert (over.state, over.error_class) == ("failed", "rejected")


async def test_what_is_held_ends_and_is_released(provider: StripeProvider) -> None:
    ref = await held(provider)
    expires = (await provider.fetch(ref)).expires_at
    assert expires is not None
    assert expires.day == 8
    for number in (2, 3):  # a second release finds it done
        released = await provider.void(call("void", number, provider_ref=ref, reason="no more wanted"))
        assert (released.state, released.provider_ref) == ("succeeded", ref)
    late = await provider.capture(call("capture", 4, provider_ref=ref))
    assert (late.state, late.error_class) == ("failed", "rejected")


async def test_3d_secure(provider: StripeProvider) -> None:
    by_script = await provider.create(call(method=CardMethod(token="pm_3ds")))
    assert by_script.state == "requires_action"
    assert by_script.next_action == UseStripeSdk(client_secret=f"{by_script.provider_ref}_secret_x")
    url = "https://shop.example/back"
    by_page = await provider.create(call(number=2, method=CardMethod(token="pm_3ds"), return_url=url))
    assert by_page.next_action == RedirectUrl(url="https://hooks.stripe.com/3d")
    assert "secret" not in json.dumps([by_script.raw, by_page.raw])


async def test_the_form_goes_on_with_the_client_secret(provider: StripeProvider, stand_in: StandIn) -> None:
    made = await provider.create(call(method=RedirectMethod(name="elements")))
    assert made.state == "requires_action"
    assert isinstance(made.next_action, UseStripeSdk)
    stand_in.objects[made.provider_ref or ""]["status"] = "requires_confirmation"
    gone_on = await provider.confirm(call(provider_ref=made.provider_ref))
    assert gone_on.state == "succeeded"
    assert stand_in.asked[-1].headers["idempotency-key"] == "pop_1-confirm"


@pytest.mark.parametrize(
    "strange",
    [
        call(method=CardMethod(token="card_1")),
        call(method=RedirectMethod(name="ideal")),
        call(amount=5124, currency="KWD"),
        call("capture", provider_ref="re_1"),
        call("refund", provider_ref=None),
    ],
)
async def test_what_cannot_be_asked_is_not(provider: StripeProvider, stand_in: StandIn, strange: ProviderCall) -> None:
    verb = {"authorize": provider.create, "capture": provider.capture}.get(strange.kind, provider.refund)
    refused = await verb(strange)
    assert (refused.state, refused.error_class) == ("failed", "rejected")
    assert stand_in.asked == []


async def test_the_same_call_is_made_once(provider: StripeProvider, stand_in: StandIn) -> None:
    first, again = await provider.create(call()), await provider.create(call())
    assert first.provider_ref == again.provider_ref
    assert len(stand_in.made("payment_intent")) == 1
    assert [one.headers["idempotency-key"] for one in stand_in.asked] == ["pop_1", "pop_1"]
    with pytest.raises(OutcomeUnknown) as other:
        await provider.create(call(amount=2000))
    assert other.value.mismatch


async def test_a_stored_fault_stays_and_a_look_finds_what_was_done(provider: StripeProvider, stand_in: StandIn) -> None:
    stand_in.fail("stored_500")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await provider.create(call())
    found = await provider.lookup("REF1")
    assert found is not None
    assert (found.source, found.state) == ("fetched", "succeeded")
    assert len(stand_in.made("payment_intent")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "drop", "drop_after", "half", "huge", "302", "409", "in_use", "html_400", "html_502", "html_200", "list_200",
        "null_200", "list_400", "empty_200",
    ],
)  # fmt: skip
async def test_what_nobody_knows(provider: StripeProvider, stand_in: StandIn, fault: str) -> None:
    stand_in.fail(fault)
    with pytest.raises(OutcomeUnknown) as unknown:
        await provider.create(call())
    assert not unknown.value.mismatch
    assert len(stand_in.asked) == 1  # nobody but the driver tries again
    assert (await provider.create(call())).state == "succeeded"
    assert len(stand_in.made("payment_intent")) == 1


async def test_a_hanging_answer(provider: StripeProvider, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider._line._wire._http, "timeout", httpx.Timeout(0.1))
    stand_in.fail("hang")
    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        await provider.create(call())


@pytest.mark.parametrize(("fault", "refused", "after"), [("429", False, 7), ("401", True, None), ("403", True, None)])
async def test_what_was_not_attempted(
    provider: StripeProvider, stand_in: StandIn, fault: str, refused: bool, after: int | None
) -> None:
    stand_in.fail(fault)
    with pytest.raises(NotAttempted) as why:
        await provider.create(call())
    waits = why.value.retry_after
    assert (why.value.refused, waits and waits.seconds) == (refused, after)


async def test_nobody_listens(clock: FakeClock) -> None:
    for address in ("http://127.0.0.1:9", "http://nobody.invalid"):
        line = Line(Secret("sk_test_1"), address)
        with pytest.raises(NotAttempted, match="ConnectError"):
            await StripeProvider("cards", line, clock).create(call())
        await line.close()


@pytest.mark.parametrize(
    ("codes", "error_class"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "funds"),
        ({"code": "card_declined", "decline_code": "stolen_card"}, "risk"),
        ({"code": "card_declined", "decline_code": "generic_decline"}, "declined"),
        ({"code": "card_declined", "decline_code": "of_tomorrow"}, "declined"),
        ({"code": "expired_card"}, "expired"),
        ({"code": "of_tomorrow"}, "other"),
    ],
)
async def test_declines(provider: StripeProvider, stand_in: StandIn, codes: dict[str, str], error_class: str) -> None:
    stand_in.declines["pm_no"] = {"type": "card_error", "message": "Alice's card", **codes}
    refused = await provider.create(call(method=CardMethod(token="pm_no")))
    assert (refused.state, refused.error_class, refused.source) == ("failed", error_class, "reply")
    assert refused.provider_ref is not None
    assert "Alice" not in json.dumps(refused.raw)
    assert (await provider.fetch(refused.provider_ref)).error_class == error_class


async def test_a_look_is_no_refusal(provider: StripeProvider) -> None:
    """Red when what is not shown is taken for what was not done."""
    for ref in ("pi_99", "re_99", "pi_99/REF1", "ch_1", ""):
        with pytest.raises(OutcomeUnknown):
            await provider.fetch(ref)


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


async def test_nothing_of_this_machine_or_of_a_person_is_told(provider: StripeProvider, stand_in: StandIn) -> None:
    await provider.create(call())
    await provider.create(call(number=2))
    for asked in stand_in.asked:
        assert not [name for name in asked.headers if name.startswith("x-stripe")]
    notes = {name: value for name, value in stand_in.asked[0].form if name.startswith("metadata")}
    assert notes == {"metadata[payment]": "pay_1", "metadata[operation]": "pop_1", "metadata[reference]": "REF1"}


async def test_the_line_needs_no_warning_ignored(provider: StripeProvider, stand_in: StandIn) -> None:
    """Red when bodies are sent as httpx warns of; the SDK's own client does, which reads as a lost connection."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (await provider.create(call())).state == "succeeded"


async def test_a_key_is_no_help_where_it_is_not_the_accounts(stand_in: StandIn, clock: FakeClock) -> None:
    line = Line(Secret("sk_test_another"), stand_in.address)
    with pytest.raises(NotAttempted) as why:
        await StripeProvider("cards", line, clock).create(call())
    assert why.value.refused
    await line.close()


async def test_two_calls_at_once_do_not_mix(provider: StripeProvider) -> None:
    made = await asyncio.gather(*(provider.create(call(number=number)) for number in range(8)))
    assert len({one.provider_ref for one in made}) == 8
