"""What others hear of a change, and what the audit keeps of it: in the transaction that makes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from corekit.contracts.audit import Audit, Target
from corekit.contracts.payments import (
    DisputeClosed,
    OperationBecameUnknown,
    OperationKind,
    OperationState,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCaptured,
    PaymentEvent,
    PaymentFailed,
    PaymentReviewRequested,
    PaymentStatus,
    PaymentSucceededLate,
    RefundFailed,
    RefundSucceeded,
    ReviewReason,
)
from corekit.events import emit
from corekit.guard.preconditions import IfMatch
from corekit.values import typeid
from corekit.watch import get_logger
from corekit_payments.books import Books
from corekit_payments.models import OperationRow

Via = Literal["request", "checkout-link", "sweeper", "webhook", "reconciliation", "operator"]


@dataclass(frozen=True)
class Asked:
    """By which way a person asks, and of which versions of the payment if they have seen one."""

    via: Via = "request"
    if_match: IfMatch | None = None


ASKED = Asked()

AUDITED: Mapping[tuple[OperationKind, OperationState], str] = {
    ("capture", "succeeded"): "payment.captured",
    ("void", "succeeded"): "payment.voided",
    ("refund", "succeeded"): "refund.succeeded",
    ("refund", "failed"): "refund.failed",
    ("refund", "canceled"): "refund.failed",
    ("dispute", "succeeded"): "dispute.closed",
    ("dispute", "failed"): "dispute.closed",
    ("dispute", "canceled"): "dispute.closed",
}


@dataclass(frozen=True)
class Change:
    """An operation that has just changed, and what it and its payment were before."""

    operation: OperationRow
    via: Via
    state: OperationState
    status: PaymentStatus
    review: ReviewReason | None = None
    late: bool = False
    took_money: bool = False  # an authorisation that captured along


async def tell(books: Books, change: Change) -> None:
    """Emit the events of a change and write its audit entries."""
    for event in _events(books, change):
        await emit(books.ctx, event)
    for action in _actions(books, change):
        await record(books, action, change.operation, change.via, change.status)
    if change.late:
        get_logger("corekit.payments").warning("payments_late_success", reason=change.operation.kind)


async def record(books: Books, action: str, operation: OperationRow, via: Via, before: PaymentStatus) -> None:
    """Write an audit entry in the name of who began the operation, whoever drives it now."""
    details: dict[str, Any] = {
        "operation": typeid("pop", operation.id),
        "via": via,
        "amount": operation.amount,
        "currency": books.payment.currency,
        "before": before,
        "after": books.payment.status,
    }
    if operation.error_class is not None:
        details["error"] = operation.error_class
    target = Target("payment", books.payment.id)
    await books.ctx.get(Audit).record(
        books.ctx, f"payments.{action}", target=target, details=details, actor=operation.initiator
    )


async def record_request(books: Books, action: str, **details: object) -> None:
    """Write an audit entry in the name of the person for whom this is."""
    person = books.ctx.on_behalf_of
    await books.ctx.get(Audit).record(
        books.ctx, f"payments.{action}", target=Target("payment", books.payment.id),
        details={"via": "request", **details}, actor=person.id if person else None,
    )  # fmt: skip


def demand_version(books: Books, asked: Asked) -> None:
    """Refuse what is asked of a version that has passed (PreconditionFailed); call it under the payment's lock."""
    if asked.if_match is not None:
        asked.if_match.demand(books.payment.version)


def common(books: Books) -> dict[str, Any]:
    """Return what every event of a payment says."""
    payment = books.payment
    return {
        "payment": payment.id,
        "version": payment.version,
        "status": payment.status,
        "payer": payment.payer,
        "payee": payment.payee,
    }


def _events(books: Books, change: Change) -> Iterator[PaymentEvent]:
    operation = change.operation
    said = common(books) | {"amount": books.money(operation), "operation": operation.id}
    if operation.state != change.state:
        yield from _of_state(operation, said, took_money=change.took_money)
    if operation.review is not None and operation.review != change.review:
        yield PaymentReviewRequested(**said)
    if change.late:
        yield PaymentSucceededLate(**said, kind=operation.kind, surplus=operation.surplus)
    if books.payment.status == "canceled" != change.status:
        yield PaymentCanceled(**{name: value for name, value in said.items() if name != "operation"})


def _of_state(operation: OperationRow, said: dict[str, Any], *, took_money: bool) -> Iterator[PaymentEvent]:
    """Tell of a state that an operation has entered; a surplus is told as late or as a mismatch, not as success."""
    error = operation.error_class or "other"
    match operation.kind, operation.state:
        case _, "unknown":
            yield OperationBecameUnknown(**said, kind=operation.kind)
        case "authorize", "requires_action":
            yield PaymentActionRequired(**said)
        case "authorize" | "capture", "failed":
            yield PaymentFailed(**said, error_class=error)
        case "refund", "failed" | "canceled":
            yield RefundFailed(**said, error_class=error)
        case "dispute", "succeeded" | "canceled" | "failed":
            yield DisputeClosed(**said, lost=operation.state == "succeeded")
        case "authorize", "succeeded" if not operation.surplus and not took_money:
            yield PaymentAuthorized(**said)
        case "capture", "succeeded" if not operation.surplus:
            yield PaymentCaptured(**said)
        case "refund", "succeeded":
            yield RefundSucceeded(**said)


def _actions(books: Books, change: Change) -> Iterator[str]:
    operation = change.operation
    if operation.state != change.state:
        if operation.state == "unknown":
            yield "operation.unknown"
        if (action := AUDITED.get((operation.kind, operation.state))) is not None:
            yield action
        if change.late:
            yield "operation.late"
        if operation.surplus and operation.state == "succeeded" and operation.of is None:
            yield "operation.surplus"
    if books.payment.status == "canceled" != change.status:
        yield "payment.canceled"
