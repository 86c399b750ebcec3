"""Stripe's notices: hints to fetch what they name, and the only evidence of a dispute."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from corekit.contracts.payments import DisputeStage, Evidence, OperationState, ProviderEvent
from corekit_payments.stripe.amounts import of_stripe

_DISPUTE: Mapping[str, tuple[OperationState, DisputeStage | None]] = {
    "needs_response": ("pending", "opened"),
    "warning_needs_response": ("pending", "opened"),
    "under_review": ("pending", "under_review"),
    "warning_under_review": ("pending", "under_review"),
    "lost": ("succeeded", None),  # the money is gone
    "won": ("canceled", None),
    "warning_closed": ("canceled", None),
    "prevented": ("canceled", None),
}


class _Data(msgspec.Struct, frozen=True):
    object: dict[str, Any] = {}


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    livemode: bool
    created: int = 0
    data: _Data = _Data()


class _Deadline(msgspec.Struct, frozen=True):
    due_by: int | None = None


class _Dispute(msgspec.Struct, frozen=True):
    id: str
    status: str
    amount: int
    currency: str
    reason: str = ""
    payment_intent: str | None = None
    evidence_details: _Deadline | None = None


class _Object(msgspec.Struct, frozen=True):
    id: str | None = None
    object: str = ""
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


def notice_of(raw: bytes) -> ProviderEvent:
    """Read a verified notice (ValueError where it is none of theirs)."""
    try:
        event = msgspec.json.decode(raw, type=_Event)
        of = msgspec.convert(event.data.object, _Object)
        evidence = _dispute(event) if of.object == "dispute" else None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("the notice does not read") from error
    own = of.object in {"payment_intent", "refund"}
    return ProviderEvent(
        id=event.id, type=event.type, live=event.livemode, provider_ref=of.id if own else of.payment_intent,
        reference=(of.metadata or {}).get("reference") if own else None, evidence=evidence,
    )  # fmt: skip


def _dispute(event: _Event) -> Evidence:
    """Say what a dispute shows; there is nothing else to fetch."""
    dispute = msgspec.convert(event.data.object, _Dispute)
    state, stage = _DISPUTE.get(dispute.status, ("unknown", None))
    due = dispute.evidence_details.due_by if dispute.evidence_details else None
    return Evidence(
        source="event", state=state, stage=stage, occurred_at=datetime.fromtimestamp(event.created, UTC),
        provider_ref=dispute.id, amount=of_stripe(dispute.amount, dispute.currency),
        expires_at=None if due is None else datetime.fromtimestamp(due, UTC),
        raw={"id": dispute.id, "status": dispute.status, "reason": dispute.reason,
             "payment_intent": dispute.payment_intent},
    )  # fmt: skip
