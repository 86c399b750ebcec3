"""The adapter before a strict stand-in: keys, lost answers, refusals, look-ups, and what is kept of an answer."""

import asyncio
import json
import warnings

import httpx
import pytest
import stripe
from stripe_calls import call, held  # beside this file
from stripe_stand_in import KEY, StandIn

from corekit.contracts.payments import (
    CardMethod,
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
from corekit_payments.stripe.refusals import Failure, meaning_of


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


async def test_a_challenge_asks_for_3d_secure(provider: StripeProvider, stand_in: StandIn) -> None:
    """What our rules want of the payer is asked for with what else is asked of the card, by the form too."""
    held_back = [call(challenge=True, capture_method="manual"), call(number=2, method=RedirectMethod(name="elements"))]
    for one in (*held_back, call(number=3, challenge=True, method=RedirectMethod(name="elements"))):
        await provider.create(one)
    wanted = "payment_method_options[card][request_three_d_secure]"
    assert [dict(one.form).get(wanted) for one in stand_in.asked] == ["challenge", None, "challenge"]
    assert dict(stand_in.asked[0].form)["payment_method_options[card][request_multicapture]"] == "if_available"


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


async def test_the_wire_of_the_sdk_still_warns(stand_in: StandIn) -> None:
    """Red when the SDK sends bodies as httpx wants them: then a limit is all that our own wire is needed for."""
    wire = stripe.HTTPXClient(timeout=5)
    client = stripe.StripeClient(KEY, http_client=wire, base_addresses={"api": stand_in.address})
    with pytest.raises(stripe.APIConnectionError) as lost:
        await client.v1.payment_intents.create_async(params={"amount": 1, "currency": "inr"})
    assert isinstance(lost.value.__cause__, DeprecationWarning)
    await wire.close_async()


async def test_a_key_is_no_help_where_it_is_not_the_accounts(stand_in: StandIn, clock: FakeClock) -> None:
    line = Line(Secret("sk_test_another"), stand_in.address)
    with pytest.raises(NotAttempted) as why:
        await StripeProvider("cards", line, clock).create(call())
    assert why.value.refused
    await line.close()


async def test_two_calls_at_once_do_not_mix(provider: StripeProvider) -> None:
    made = await asyncio.gather(*(provider.create(call(number=number)) for number in range(8)))
    assert len({one.provider_ref for one in made}) == 8


async def test_an_endless_answer_is_not_read(provider: StripeProvider, stand_in: StandIn) -> None:
    stand_in.fail("huge")
    with pytest.raises(OutcomeUnknown, match="longer than any"):
        await provider.create(call())


@pytest.mark.parametrize(
    ("status", "type_", "code", "meaning"),
    [
        (500, "card_error", "card_declined", "unknown"),
        (503, "invalid_request_error", None, "unknown"),
        (418, "invalid_request_error", None, "unknown"),
        (None, None, None, "unknown"),
        (400, None, None, "unknown"),
        (402, "api_error", None, "unknown"),
        (400, "of_tomorrow", None, "unknown"),
        (400, "invalid_request_error", None, "rejected"),
        (402, "card_error", None, "declined"),
        (409, "invalid_request_error", None, "unknown"),
        (400, "idempotency_error", None, "mismatch"),
        (409, "idempotency_error", "idempotency_key_in_use", "unknown"),
        (429, "invalid_request_error", "lock_timeout", "not_attempted"),
    ],
)
def test_what_a_refusal_means(status: int | None, type_: str | None, code: str | None, meaning: str) -> None:
    assert meaning_of(status, Failure(type=type_, code=code)) == meaning


async def test_what_is_kept_of_an_answer_is_on_a_list(provider: StripeProvider, stand_in: StandIn) -> None:
    """Red when something is kept because nobody thought of it."""
    made = await provider.create(call(method=CardMethod(token="pm_3ds")))
    stand_in.objects[made.provider_ref or ""] |= {
        "receipt_email": "alice@example.com", "shipping": {"name": "Alice"}, "description": "for Alice",
        "metadata": {"reference": "REF1", "note": "Alice"},
    }  # fmt: skip
    raw = (await provider.fetch(made.provider_ref or "")).raw
    assert raw["metadata"] == {"reference": "REF1"}
    assert set(raw) == {
        "id", "status", "amount", "amount_received", "currency", "created", "cancellation_reason", "latest_charge",
        "error", "metadata",
    }  # fmt: skip
