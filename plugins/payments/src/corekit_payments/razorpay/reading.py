"""What Razorpay's objects and refusals say of an operation; no call, no clock."""

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from corekit.contracts.payments import (
    ErrorClass,
    Evidence,
    NextAction,
    OperationState,
    OutcomeUnknown,
    RedirectUrl,
    UpiQr,
)
from corekit.contracts.payments.providers import EvidenceSource
from corekit.values import Money
from corekit_payments.calling import Answer

HOLD_MANUAL = 4320  # minutes that we ask for until what is held and not captured goes back
_SHOWN = 64  # characters that are kept of a text of theirs
Code = str | None


class Notes(msgspec.Struct, frozen=True):
    """What we have written on an object: our reference, and how it is to be captured."""

    reference: str = ""
    capture: str = "automatic"


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of theirs: the members that are read."""

    id: str
    amount: int
    currency: str
    status: str
    created_at: int
    captured: bool | None = None
    amount_refunded: int | None = None
    order_id: str | None = None
    fee: int | None = None
    method: str | None = None
    notes: Any = None
    error_code: Code = None
    error_reason: Code = None
    error_source: Code = None
    acquirer_data: Any = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of theirs, which has at most one payment that counts."""

    id: str
    amount: int
    currency: str
    status: str
    created_at: int
    receipt: str | None = None
    notes: Any = None


class QrCode(msgspec.Struct, frozen=True, kw_only=True):
    """A QR code of theirs; `image_content` is the link in it, where the account may have it."""

    id: str
    status: str
    created_at: int
    payment_amount: int
    usage: str
    image_url: str | None = None
    image_content: str | None = None
    close_by: int | None = None
    notes: Any = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund of theirs."""

    id: str
    payment_id: str
    amount: int
    currency: str
    status: str
    created_at: int
    notes: Any = None


def of_refund(refund: Refund, source: EvidenceSource) -> Evidence:
    """Read a refund."""
    states: dict[str, OperationState] = {"pending": "pending", "processed": "succeeded", "failed": "failed"}
    state, amount = states.get(refund.status, "unknown"), Money(refund.amount, refund.currency)
    return Evidence(
        source=source, state=state, occurred_at=at(refund.created_at), provider_ref=refund.id, amount=amount,
        reference=notes(refund.notes).reference or None,
        refunded=amount if state == "succeeded" else None, error_class="other" if state == "failed" else None,
        raw={"id": refund.id, "payment_id": refund.payment_id, "status": _cut(refund.status)},
    )  # fmt: skip


def of_payment(payment: Payment, source: EvidenceSource, *, capture: str | None = None) -> Evidence:
    """Read a payment; one that is held and will be captured without us is not decided yet."""
    capture = capture or notes(payment.notes).capture
    amount = Money(payment.amount, payment.currency)
    state = _state(payment, capture)
    taken = state == "succeeded" and payment.status != "authorized"
    refunded = payment.amount_refunded
    return Evidence(
        source=source, state=state, occurred_at=at(payment.created_at), provider_ref=payment.id, amount=amount,
        reference=notes(payment.notes).reference or None,
        captured=amount if taken else None, expires_at=_held_until(payment) if capture == "manual" else None,
        refunded=None if refunded is None else Money(refunded, payment.currency),
        fee=None if not payment.fee else Money(payment.fee, payment.currency),
        error_class=class_of(payment.error_reason) if state == "failed" else None, raw=_raw(payment),
    )  # fmt: skip


def of_payments(payments: Sequence[Payment], capture: str, ref: str) -> Evidence | None:
    """Read all payments of an order or a QR code: the one that has moved money, else an open one, else the last.

    Until one has moved money the evidence is about the order, or the code: another one may still do so.
    """
    read = [of_payment(one, "fetched", capture=capture) for one in sorted(payments, key=lambda one: one.created_at)]
    for state in ("succeeded", "pending", "unknown", "requires_action"):
        for one in read:
            if one.state == state:
                return one if state == "succeeded" else msgspec.structs.replace(one, provider_ref=ref)
    return msgspec.structs.replace(read[-1], provider_ref=ref) if read else None


def of_qr(code: QrCode, currency: str, source: EvidenceSource) -> Evidence:
    """Read a QR code that nobody has paid yet."""
    expires = None if code.close_by is None else at(code.close_by)
    over = code.status == "closed"
    action: NextAction | None = None
    if code.image_content:
        action = UpiQr(payload=code.image_content, expires_at=expires)  # as it came: it may be signed
    elif code.image_url and code.image_url.startswith("https://"):
        action = RedirectUrl(url=code.image_url)
    return Evidence(
        source=source, state="failed" if over else "requires_action", occurred_at=at(code.created_at),
        provider_ref=code.id, amount=Money(code.payment_amount, currency), error_class="expired" if over else None,
        next_action=None if over else action, expires_at=expires, raw={"id": code.id, "status": _cut(code.status)},
    )  # fmt: skip


def of_refusal(answer: Answer, now: datetime, ref: str | None = None) -> Evidence:
    """Read a refusal of a call.

    Raises:
        OutcomeUnknown: the key is known with another call (`mismatch`).

    """
    said = answer.body.get("error")
    error: dict[str, Any] = said if isinstance(said, dict) else {}
    code, reason, text = (str(error.get(name) or "") for name in ("code", "reason", "description"))
    raw = {"status": answer.status, "code": _cut(code), "reason": _cut(reason)}
    if code == "BAD_REQUEST_ERROR" and "idempoten" in text.lower():
        raise OutcomeUnknown("the key is known with another call", mismatch=True)
    class_: ErrorClass | None = _reasons().get(reason)
    if code == "BAD_REQUEST_ERROR":
        class_ = class_ or "rejected"
    if class_ is None:
        return Evidence(source="reply", state="unknown", occurred_at=now, provider_ref=ref, raw=raw)
    return Evidence(source="reply", state="failed", occurred_at=now, error_class=class_, provider_ref=ref, raw=raw)


def notes(value: Any) -> Notes:
    """Read what we wrote on an object; an empty one is a list there."""
    try:
        return msgspec.convert(value, Notes)
    except msgspec.ValidationError:
        return Notes()


def class_of(reason: str | None) -> ErrorClass:
    """Return the class of a failed payment's reason."""
    return _reasons().get(reason or "", "other")


def at(seconds: int) -> datetime:
    """Read a time of theirs (OutcomeUnknown where it is none)."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise OutcomeUnknown("its answer cannot be read") from None


def _held_until(payment: Payment) -> datetime | None:
    """Say until when a payment that is held can be captured; their objects do not."""
    return at(payment.created_at) + timedelta(minutes=HOLD_MANUAL) if payment.status == "authorized" else None


def _state(payment: Payment, capture: str) -> OperationState:
    match payment.status:
        case "created":
            return "requires_action"
        case "authorized":
            return "succeeded" if capture == "manual" else "pending"
        case "captured":
            return "succeeded"
        case "refunded":  # what was held and never captured is given back by itself
            return "succeeded" if payment.captured else "canceled"
        case "failed":
            return "failed"
    return "unknown"


def _raw(payment: Payment) -> dict[str, Any]:
    rrn = payment.acquirer_data.get("rrn") if isinstance(payment.acquirer_data, dict) else None
    return {
        "id": payment.id, "order_id": payment.order_id, "status": _cut(payment.status), "method": _cut(payment.method),
        "error_code": _cut(payment.error_code), "error_reason": _cut(payment.error_reason),
        "error_source": _cut(payment.error_source), "rrn": rrn if isinstance(rrn, str) and len(rrn) <= _SHOWN else None,
    }  # fmt: skip


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_SHOWN]


@cache
def _reasons() -> dict[str, ErrorClass]:
    text = resources.files("corekit_payments.razorpay").joinpath("reasons.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["reasons"], dict[str, ErrorClass])
