"""Razorpay's adapter: codes and links as they came, signatures both ways, what its states mean, and its settings."""

import hashlib
import hmac
import json
import random
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
import razorpay
from razorpay_standin import LINK, LOGIN, WEBHOOK, StandIn

from corekit.contracts.payments import (
    ErrorClass,
    OutcomeUnknown,
    ProviderCall,
    ProviderSettings,
    RedirectUrl,
    UpiIntent,
    UpiIntentMethod,
    UpiQr,
    UpiQrMethod,
)
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments.calling import Line
from corekit_payments.razorpay import Razorpay, bring, reading

KEYS = ProviderSettings(
    kind="razorpay", name="shop_in", key_id=LOGIN[0], key_secret=Secret(LOGIN[1]),
    webhook_secrets=(Secret("old"), Secret(""), Secret(WEBHOOK)), contact="+919999999999", email="shop@example.com",
)  # fmt: skip


@pytest.fixture
async def service() -> AsyncGenerator[StandIn]:
    async with StandIn() as made:
        yield made


@pytest.fixture
async def shop(service: StandIn) -> AsyncGenerator[Razorpay]:
    clock = FakeClock(datetime.fromtimestamp(service.now, UTC))
    made = Razorpay(KEYS, Line(service.url, LOGIN, timeout=5), clock, timedelta(hours=24))
    yield made
    await made.close()


def call(method: Any = None, amount: int = 49900, n: int = 1, **more: Any) -> ProviderCall:
    fields: dict[str, Any] = {"kind": "authorize", "payment": "pay_1", **more}
    return ProviderCall(
        key=f"pop_{n:026}", reference=f"K3T7QX2M5W4Z6A2B3C{n:02}", amount=Money(amount, "INR"), method=method, **fields
    )


async def test_a_code_is_passed_on_as_it_came(service: StandIn, shop: Razorpay) -> None:
    said = await shop.create(call(UpiQrMethod()))
    (code,) = service.codes.values()
    expires = datetime.fromtimestamp(service.now, UTC) + timedelta(hours=24)
    assert said.next_action == UpiQr(payload=code["image_content"], expires_at=expires)
    assert (said.state, said.provider_ref, said.expires_at) == ("requires_action", code["id"], expires)
    assert (code["usage"], code["fixed_amount"], code["payment_amount"]) == ("single_use", True, 49900)
    again = await shop.create(call(UpiQrMethod()))
    assert (again.provider_ref, again.next_action, len(service.codes)) == (code["id"], said.next_action, 1)
    with pytest.raises(OutcomeUnknown) as mismatch:
        await shop.create(call(UpiQrMethod(), 100))
    assert mismatch.value.mismatch
    service.pay(code["id"])
    paid = await shop.fetch(code["id"])
    assert (paid.state, paid.captured, paid.fee) == ("succeeded", Money(49900, "INR"), Money(24, "INR"))
    assert await shop.lookup(call().reference) == paid
    back = await shop.refund(call(kind="refund", provider_ref=code["id"], n=2))
    assert back.state == "pending"
    service.refunds[back.provider_ref or ""]["status"] = "processed"
    assert (await shop.fetch(back.provider_ref or "")).state == "succeeded"


async def test_an_account_without_the_links_of_codes_shows_its_picture(service: StandIn, shop: Razorpay) -> None:
    service.image_content = False
    said = await shop.create(call(UpiQrMethod()))
    assert said.next_action == RedirectUrl(url="https://qr.example/l/6MS")


async def test_a_code_that_nobody_paid_expires_and_what_is_held_by_one_is_refused(
    service: StandIn, shop: Razorpay
) -> None:
    said = await shop.create(call(UpiQrMethod()))
    service.codes[said.provider_ref or ""]["status"] = "closed"
    over = await shop.fetch(said.provider_ref or "")
    assert (over.state, over.error_class, over.next_action) == ("failed", "expired", None)
    held = await shop.create(call(UpiQrMethod(), n=2, capture_method="manual"))
    assert (held.state, held.error_class, len(service.codes)) == ("failed", "rejected", 1)


async def test_a_link_is_passed_on_as_it_came(service: StandIn, shop: Razorpay) -> None:
    said = await shop.create(call(UpiIntentMethod()))
    (payment,) = service.payments.values()
    assert said.next_action == UpiIntent(link=LINK.format(tr=payment["id"].replace("_", ""), am=499.0))
    (order,) = service.orders.values()
    assert (order["receipt"], said.provider_ref) == (call().reference, order["id"])
    sent = next(body for method, path, body in service.asked if (method, path) == ("POST", "/orders"))
    assert (sent["unique_receipt"], sent["payment"]["capture"]) == (True, "automatic")


async def test_a_lost_answer_is_begun_again_on_the_same_order(service: StandIn, shop: Razorpay) -> None:
    """Nobody has seen the link that was lost, so another one on the same order pays once; and not after a payment."""
    await shop.create(call(UpiIntentMethod()))
    assert await shop.lookup(call().reference) is None
    again = await shop.create(call(UpiIntentMethod()))
    assert (len(service.orders), len(service.payments)) == (1, 2)
    service.pay(again.provider_ref or "")
    assert (await shop.create(call(UpiIntentMethod()))).state == "succeeded"
    assert len(service.payments) == 2


async def test_a_failed_payment_may_succeed_late(service: StandIn, shop: Razorpay) -> None:
    """Razorpay calls one failed without the bank's answer, and may have it authorised days later."""
    said = await shop.create(call(UpiIntentMethod()))
    ref = said.provider_ref or ""
    payment = service.pay(ref, failed="payment_timed_out")
    failed = await shop.fetch(ref)
    assert (failed.state, failed.error_class, failed.provider_ref) == ("failed", "expired", ref)
    payment["status"] = "authorized"
    assert (await shop.fetch(ref)).state == "pending"  # it is captured without us
    payment |= {"status": "captured", "captured": True}
    paid = await shop.fetch(ref)
    assert (paid.state, paid.provider_ref) == ("succeeded", payment["id"])


async def test_what_was_held_and_went_back_is_cancelled(service: StandIn, shop: Razorpay) -> None:
    said = await shop.create(call(UpiIntentMethod(), capture_method="manual"))
    payment = service.pay(said.provider_ref or "")
    held = await shop.fetch(said.provider_ref or "")
    assert (held.state, held.expires_at) == ("succeeded", held.occurred_at + timedelta(days=3))
    payment |= {"status": "refunded", "captured": False}
    assert (await shop.fetch(said.provider_ref or "")).state == "canceled"
    assert [one.state async for one in shop.list_since("0")] == ["canceled"]
    gone = await shop.capture(call(kind="capture", provider_ref=payment["id"], n=2))
    assert (gone.state, gone.error_class) == ("failed", "rejected")


async def test_a_part_of_what_is_held_is_not_taken(service: StandIn, shop: Razorpay) -> None:
    said = await shop.create(call(UpiIntentMethod(), capture_method="manual"))
    payment = service.pay(said.provider_ref or "")
    part = await shop.capture(call(kind="capture", amount=100, provider_ref=payment["id"], n=2))
    assert (part.state, part.error_class, payment["status"]) == ("failed", "rejected", "authorized")


async def test_evidence_holds_nothing_personal(service: StandIn, shop: Razorpay) -> None:
    said = await shop.create(call(UpiIntentMethod()))
    service.pay(said.provider_ref or "") | {"email": "payer@example.com", "contact": "+919876543210"}
    text = msgspec.json.encode(await shop.fetch(said.provider_ref or "")).decode()
    assert not any(part in text for part in ("payer@", "+91", *LOGIN, WEBHOOK))
    assert "012345678901" in text  # the bank's number of the payment, for whoever looks for it


async def test_lists_are_read_to_their_end(service: StandIn, shop: Razorpay) -> None:
    for n in range(205):
        service._payment(n + 1, None, None)["status"] = "captured"  # ours
    assert len([one async for one in shop.list_since("0")]) == 205


async def test_a_settlement_is_read_line_by_line(service: StandIn, shop: Razorpay) -> None:
    line = {"currency": "INR", "settled": True, "settled_at": 1568176960, "settlement_utr": "1568176960vxp0rj"}
    service.recon = [
        line | {"entity_id": "pay_1", "type": "payment", "amount": 100000, "credit": 97100, "debit": 0, "fee": 2900,
                "tax": 442, "dispute_id": None, "on_hold": False},
        line | {"entity_id": "rfnd_1", "type": "refund", "amount": 242500, "credit": 0, "debit": 242500, "fee": 0},
        line | {"entity_id": "adj_1", "type": "adjustment", "amount": 1012, "credit": 0, "debit": 1012,
                "dispute_id": "disp_1"},
        line | {"entity_id": "pay_2", "type": "payment", "amount": 1, "settled": False, "settled_at": None},
    ]  # fmt: skip
    rows = [row async for row in shop.settlement_rows(date(2019, 9, 11))]
    shown = [(row.id, row.kind, row.amount.minor, row.fee and row.fee.minor, row.utr) for row in rows]
    utr = line["settlement_utr"]
    assert shown == [
        ("pay_1", "capture", 100000, 2900, utr),
        ("rfnd_1", "refund", 242500, 0, utr),
        ("adj_1", "dispute", -1012, None, utr),
    ]
    service.recon = [{"entity_id": "pay_1"}]
    with pytest.raises(OutcomeUnknown):
        assert [row async for row in shop.settlement_rows(date(2019, 9, 11))]


@pytest.mark.parametrize("ref", ["order_../payments", "pay_1?x=1", "pay_1/capture", "rfnd_\n", "pay_" + "1" * 70, ""])
async def test_nothing_but_an_id_comes_into_a_path(service: StandIn, shop: Razorpay, ref: str) -> None:
    with pytest.raises(OutcomeUnknown):
        await shop.fetch(ref)
    assert service.asked == []


def test_our_signature_is_theirs(shop: Razorpay) -> None:
    """Their SDK accepts what the stand-in signs, and the adapter what the SDK's own way of signing makes."""
    dice = random.Random(7)  # noqa: S311  # no secret
    client = razorpay.Client(auth=LOGIN)
    for _ in range(300):
        text = "".join(chr(dice.choice((32, 65, 233, 2325, 128512))) for _ in range(dice.randrange(40)))
        headers, raw = StandIn().notice("payment.captured", payment={"id": "pay_1", "notes": {"reference": text}})
        assert client.utility.verify_webhook_signature(raw.decode(), headers["x-razorpay-signature"], WEBHOOK)
        (event,) = shop.verify(headers, raw)
        assert (event.type, event.provider_ref, event.reference) == ("payment.captured", "pay_1", text or None)
        assert event.id == headers["x-razorpay-event-id"]
        assert not event.live
    raw = bytes(range(256))
    with pytest.raises(ValueError, match="read"):
        shop.verify({"X-Razorpay-Signature": signed(raw, WEBHOOK)}, raw)


def signed(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_what_they_did_not_sign_is_refused(shop: Razorpay) -> None:
    raw = b'{"event":"a"}'
    right = signed(raw, WEBHOOK)
    assert shop.verify({"x-razorpay-signature": right}, raw)[0].type == "a"
    wrong = [right[:-1], right.upper(), "", right + "0", "\u0660" * 64, signed(raw, ""), signed(raw, "another")]
    for signature in wrong:
        with pytest.raises(ValueError, match="signed"):
            shop.verify({"x-razorpay-signature": signature}, raw)


def test_a_notice_names_what_to_fetch(shop: Razorpay) -> None:
    notes = {"notes": {"reference": "K3T7"}}
    for entities, ref, reference in (
        ({"payment": {"id": "pay_1", "notes": []}, "qr_code": {"id": "qr_1", **notes}}, "pay_1", "K3T7"),
        ({"payment": {"id": "pay_1", "notes": []}, "refund": {"id": "rfnd_1", **notes}}, "rfnd_1", "K3T7"),
        ({"order": {"id": "order_1", "receipt": "K3T7", "notes": []}}, "order_1", "K3T7"),
        ({"payment": {"id": "pay_1", "notes": 7}}, "pay_1", None),
        ({"payment": {"id": 7}}, None, None),
    ):
        headers, raw = StandIn().notice("x", **entities)  # type: ignore[arg-type]  # odd ones too
        event = shop.verify(headers, raw)[0]
        assert (event.provider_ref, event.reference, event.evidence) == (ref, reference, None)
    raw = json.dumps({"event": "a", "payload": {"payment": []}}).encode()
    event = shop.verify({"x-razorpay-signature": signed(raw, WEBHOOK), "x-razorpay-event-id": "a\n"}, raw)[0]
    assert (event.id, event.provider_ref) == (hashlib.sha256(raw).hexdigest(), None)


def test_every_reason_has_a_class() -> None:
    reasons = reading._reasons()  # the table
    assert len(reasons) > 20
    for reason, class_ in reasons.items():
        assert class_ in get_args(ErrorClass), reason
        assert reading.class_of(reason) == class_
    assert (reading.class_of("insufficient_funds"), reading.class_of("odd"), reading.class_of(None)) == (
        "funds", "other", "other"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key_id": ""}, "key_id"), ({"key_id": "sk_test_1"}, "key_id"), ({"key_secret": Secret("")}, "key_secret"),
        ({"webhook_secrets": ()}, "webhook_secrets"), ({"webhook_secrets": (Secret(""),)}, "webhook_secrets"),
        ({"email": ""}, "contact"),
    ],
)  # fmt: skip
def test_a_key_that_is_missing_ends_the_start(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"payments.providers.shop_in.*{said}"):
        bring(msgspec.structs.replace(KEYS, **change), FakeClock(), timedelta(hours=1))


def test_without_a_contact_there_is_no_link() -> None:
    made = bring(msgspec.structs.replace(KEYS, contact="", email=""), FakeClock(), timedelta(hours=1))
    assert made.capabilities.methods == {"upi_qr"}
