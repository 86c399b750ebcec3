"""Stripe's objects as far as we read them, and the evidence that they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from corekit.contracts.payments import (
    Evidence,
    EvidenceSource,
    NextAction,
    OperationState,
    OutcomeUnknown,
    RedirectUrl,
    UseStripeSdk,
)
from corekit.watch import get_logger
from corekit_payments.stripe.amounts import of_stripe
from corekit_payments.stripe.refusals import REFUND_CLASSES, Failure

FORM = "elements"  # the name of the method by which the payer's client goes on with the client secret alone
HELD = "held"  # metadata of an intent, and so of its charge: it is captured by a call of its own
_TAKEN = "capture_"  # metadata of an intent: the reference of a capture, and what it took
_NAMES = frozenset({"payment", "operation", "reference", "form", HELD})  # of metadata that are ours
_INTENT: Mapping[str, OperationState] = {
    "succeeded": "succeeded",
    "requires_capture": "succeeded",
    "requires_action": "requires_action",
    "processing": "pending",
    "canceled": "canceled",
}
_REFUND: Mapping[str, OperationState] = {
    "succeeded": "succeeded",
    "pending": "pending",
    "requires_action": "pending",  # the payer has to say where to
    "failed": "failed",
    "canceled": "canceled",
}


@contextmanager
def understanding() -> Iterator[None]:
    """Read an answer in it: one that does not read may have been a yes (OutcomeUnknown)."""
    try:
        yield
    except (msgspec.ValidationError, ValueError, OverflowError, OSError) as error:
        get_logger("corekit.payments").error("payments_unmapped", reason=f"stripe {type(error).__name__}")
        raise OutcomeUnknown("the answer does not read") from error


class _Card(msgspec.Struct, frozen=True):
    capture_before: int | None = None


class _Details(msgspec.Struct, frozen=True):
    card: _Card | None = None


class Charge(msgspec.Struct, frozen=True):
    """What a card was asked for."""

    id: str
    payment_method_details: _Details | None = None


class _Redirect(msgspec.Struct, frozen=True):
    url: str | None = None


class _NextStep(msgspec.Struct, frozen=True):
    type: str = ""
    redirect_to_url: _Redirect | None = None


class Intent(msgspec.Struct, frozen=True):
    """A PaymentIntent."""

    id: str
    status: str
    amount: int
    currency: str
    created: int
    amount_received: int = 0
    client_secret: str | None = None
    latest_charge: str | Charge | None = None
    last_payment_error: Failure | None = None
    next_action: _NextStep | None = None
    cancellation_reason: str | None = None
    metadata: dict[str, str] | None = None

    def note(self, name: str) -> str | None:
        """Return what we noted on it."""
        return (self.metadata or {}).get(name)

    def captures(self) -> dict[str, int]:
        """Return what was taken of it by calls of ours, by their references."""
        noted = {name.removeprefix(_TAKEN): text for name, text in (self.metadata or {}).items()
                 if name.startswith(_TAKEN)}  # fmt: skip
        return {reference: int(text) for reference, text in noted.items() if text.isascii() and text.isdecimal()}


class Refund(msgspec.Struct, frozen=True):
    """A Refund."""

    id: str
    status: str
    amount: int
    currency: str
    created: int
    payment_intent: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


def noted_capture(reference: str, units: int) -> dict[str, str]:
    """Write what a capture leaves on its intent, so that it can be found by its reference."""
    return {f"{_TAKEN}{reference}": str(units)}


def intent_evidence(intent: Intent, source: EvidenceSource, now: datetime) -> Evidence:
    """Say what an intent shows of the authorisation that it is (ValueError where its money cannot be read)."""
    error = intent.last_payment_error
    state = _INTENT.get(intent.status, "unknown")
    if intent.status == "requires_payment_method":
        state = "requires_action" if intent.note("form") == FORM else "failed" if error else "unknown"
    taken = of_stripe(intent.amount_received, intent.currency) if intent.status == "succeeded" else None
    return Evidence(
        source=source, state=state, occurred_at=now, provider_ref=intent.id, reference=intent.note("reference"),
        amount=of_stripe(intent.amount, intent.currency), captured=taken,
        error_class=((error and error.error_class) or "other") if state == "failed" else None,
        next_action=_action(intent) if state == "requires_action" else None,
        expires_at=_expiry(intent) if intent.status == "requires_capture" else None, raw=_shown(intent),
    )  # fmt: skip


def capture_evidence(intent: Intent, reference: str, source: EvidenceSource, now: datetime) -> Evidence | None:
    """Say what an intent shows of one capture; None where that has left no mark on it."""
    units = intent.captures().get(reference)
    if units is None:
        return None
    done = intent.status in {"succeeded", "requires_capture"} and intent.amount_received >= units
    state: OperationState = "succeeded" if done else "pending" if intent.status == "processing" else "unknown"
    return Evidence(
        source=source, state=state, occurred_at=now, provider_ref=capture_ref(intent.id, reference),
        reference=reference, amount=of_stripe(units, intent.currency), raw=_shown(intent),
    )  # fmt: skip


def void_evidence(intent: Intent, source: EvidenceSource, now: datetime) -> Evidence:
    """Say what an intent shows of its release."""
    state: OperationState = "succeeded" if intent.status == "canceled" else "unknown"
    return Evidence(source=source, state=state, occurred_at=now, provider_ref=intent.id, raw=_shown(intent))


def refund_evidence(refund: Refund, source: EvidenceSource, now: datetime) -> Evidence:
    """Say what a refund shows (ValueError where its money cannot be read)."""
    state = _REFUND.get(refund.status, "unknown")
    money = of_stripe(refund.amount, refund.currency)
    names = ("id", "status", "amount", "currency", "created", "payment_intent", "failure_reason")
    return Evidence(
        source=source, state=state, occurred_at=now, provider_ref=refund.id, amount=money,
        reference=(refund.metadata or {}).get("reference"),
        refunded=money if state == "succeeded" else None,
        error_class=REFUND_CLASSES.get(refund.failure_reason or "", "other") if state == "failed" else None,
        raw={**{name: getattr(refund, name) for name in names}, "metadata": _ours(refund.metadata)},
    )  # fmt: skip


def capture_ref(intent: str, reference: str) -> str:
    """Name a capture: at Stripe it has no name of its own, and an intent may be captured more than once."""
    return f"{intent}/{reference}"


def _action(intent: Intent) -> NextAction | None:
    """Say what the payer does next: go to a page, or let their client go on with Stripe's own script."""
    step = intent.next_action
    if step is not None and step.type == "redirect_to_url" and step.redirect_to_url and step.redirect_to_url.url:
        return RedirectUrl(url=step.redirect_to_url.url)
    return UseStripeSdk(client_secret=intent.client_secret) if intent.client_secret else None


def _expiry(intent: Intent) -> datetime | None:
    charge = intent.latest_charge
    details = charge.payment_method_details if isinstance(charge, Charge) else None
    until = details.card.capture_before if details is not None and details.card is not None else None
    return None if until is None else datetime.fromtimestamp(until, UTC)


def _shown(intent: Intent) -> dict[str, Any]:
    """Return what may be kept of it: nothing that a payer's client holds, nothing of a card or a person."""
    names = ("id", "status", "amount", "amount_received", "currency", "created", "cancellation_reason")
    charge = intent.latest_charge
    return {
        **{name: getattr(intent, name) for name in names},
        "latest_charge": charge.id if isinstance(charge, Charge) else charge,
        "error": intent.last_payment_error.shown() if intent.last_payment_error else None,
        "metadata": _ours(intent.metadata),
    }


def _ours(metadata: Mapping[str, str] | None) -> dict[str, str]:
    return {name: text for name, text in (metadata or {}).items() if name in _NAMES or name.startswith(_TAKEN)}
