"""What a payment is, from what became of its operations: a pure function, and the only source of status and totals."""

from collections.abc import Iterable, Sequence

import msgspec

from corekit.contracts.payments import (
    DisputeStage,
    DisputeStatus,
    ErrorClass,
    OperationKind,
    OperationState,
    PaymentStatus,
    RefundStatus,
    ReviewReason,
)
from corekit_payments.transitions import OPEN

FINAL_DECLINES: frozenset[ErrorClass] = frozenset({"blocked", "risk"})  # trying again would not help, or must not


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What of a payment no provider decides."""

    max_attempts: int = 5
    cancel_requested: bool = False


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What of an operation its payment depends on; `seq` is its place among all of them.

    `released` is an authorisation whose hold is over, by itself or by its provider.
    """

    seq: int
    kind: OperationKind
    amount: int
    state: OperationState
    final: bool = True
    surplus: bool = False
    error_class: ErrorClass | None = None
    review: ReviewReason | None = None
    stage: DisputeStage | None = None
    released: bool = False


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a payment that nobody sets by hand; totals are minor units."""

    status: PaymentStatus
    refund_status: RefundStatus
    dispute_status: DisputeStatus
    authorized: int
    captured: int
    capture_pending: int
    refunded: int
    refund_pending: int
    disputed: int


def derive(payment: Intent, operations: Iterable[Fact]) -> Derived:
    """Compute status and totals; a surplus is real money, but not this payment's, and counts in none of them.

    Everything open counts as pending from its creation: what is not proven to have stayed cannot be spent twice.
    """
    every = sorted(operations, key=lambda one: one.seq)
    counted = [one for one in every if not one.surplus]
    captured, capture_pending = _moved(counted, "capture")
    refunded, refund_pending = _moved(counted, "refund")
    lost, disputed = _moved(counted, "dispute")
    return Derived(
        status=_status(payment, every, counted, captured),
        refund_status=_refund_status(counted, captured, refunded, refund_pending),
        dispute_status=_dispute_status(counted),
        authorized=_moved(counted, "authorize")[0],
        captured=captured,
        capture_pending=capture_pending,
        refunded=refunded,
        refund_pending=refund_pending,
        disputed=lost + disputed,
    )


def authorization_open(counted: Sequence[Fact]) -> bool:
    """Tell whether money is held that can still be captured: no surplus among the operations."""
    held = _moved(counted, "authorize")[0]
    done = [one for one in counted if one.state == "succeeded"]
    released = any(one.released or one.kind == "void" or (one.kind == "capture" and one.final) for one in done)
    return not released and held > _moved(counted, "capture")[0]


def _moved(counted: Iterable[Fact], kind: OperationKind) -> tuple[int, int]:
    """Sum up what has moved and what may move."""
    of_kind = [one for one in counted if one.kind == kind]
    done = sum(one.amount for one in of_kind if one.state == "succeeded")
    return done, sum(one.amount for one in of_kind if one.state in OPEN)


def _status(payment: Intent, every: Sequence[Fact], counted: Sequence[Fact], captured: int) -> PaymentStatus:
    """Take the first rule that fits."""
    chain = [one for one in counted if one.kind in {"authorize", "capture", "void"}]
    newest_open = next((one for one in reversed(chain) if one.state in OPEN), None)
    held = authorization_open(chain)
    if any(one.review for one in every):
        return "needs_review"
    if captured:
        return "partially_captured" if held else "succeeded"
    if held:
        return "requires_capture"
    if (over := _over(chain)) is not None:
        return over
    if newest_open is not None:
        return "requires_action" if newest_open.state == "requires_action" else "processing"
    return "canceled" if payment.cancel_requested else _without_money(payment, every)


def _over(chain: Sequence[Fact]) -> PaymentStatus | None:
    """Say what is left where nothing was captured, and what was held is not held any more."""
    done = [one for one in chain if one.state == "succeeded"]
    if any(one.kind == "void" for one in done):
        return "canceled"
    if not any(one.released for one in done):
        return None
    return "processing" if any(one.kind != "authorize" and one.state in OPEN for one in chain) else "canceled"


def _without_money(payment: Intent, every: Sequence[Fact]) -> PaymentStatus:
    attempts = [one for one in every if one.kind == "authorize"]
    last = attempts[-1] if attempts else None
    if last is None or last.state != "failed":
        return "requires_payment_method"
    over = last.error_class in FINAL_DECLINES or len(attempts) >= payment.max_attempts
    return "failed" if over else "requires_payment_method"


def _refund_status(counted: Sequence[Fact], captured: int, refunded: int, pending: int) -> RefundStatus:
    if pending:
        return "pending"
    if refunded:
        return "full" if refunded == captured else "partial"
    return "failed" if any(one.kind == "refund" for one in counted) else "none"


def _dispute_status(counted: Sequence[Fact]) -> DisputeStatus:
    disputes = [one for one in counted if one.kind == "dispute"]
    if not disputes:
        return "none"
    last = ([one for one in disputes if one.state in OPEN] or disputes)[-1]  # one that is open concerns all
    if last.state in OPEN:
        return last.stage or "opened"
    return "lost" if last.state == "succeeded" else "won"
