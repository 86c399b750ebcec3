"""What payments tell: ids, version, money, status and error class; never an address, a name or what a provider sent."""

from datetime import datetime
from uuid import UUID

from corekit.contracts.payments.objects import ErrorClass, OperationKind, PaymentStatus, Verdict
from corekit.events import Event
from corekit.values import Money


class PaymentEvent(Event, frozen=True):
    """What every event of a payment says; `payee` is null for the operator."""

    payment: UUID
    version: int
    status: PaymentStatus
    payer: UUID
    payee: UUID | None
    amount: Money


class PaymentCreated(PaymentEvent, frozen=True, tag="payments.payment_created"):
    """Somebody wants to pay."""


class PaymentActionRequired(PaymentEvent, frozen=True, tag="payments.payment_action_required"):
    """The payer has to act: confirm with their bank, or pay in their UPI app."""

    operation: UUID


class PaymentAuthorized(PaymentEvent, frozen=True, tag="payments.payment_authorized"):
    """The money is held, and not yet taken."""

    operation: UUID


class PaymentCaptured(PaymentEvent, frozen=True, tag="payments.payment_captured"):
    """Money was taken: `amount` by this operation, of a payment that may have several."""

    operation: UUID


class PaymentFailed(PaymentEvent, frozen=True, tag="payments.payment_failed"):
    """An attempt, or a capture, was refused; `status` says whether the payer may try again."""

    operation: UUID
    error_class: ErrorClass


class PaymentCanceled(PaymentEvent, frozen=True, tag="payments.payment_canceled"):
    """The payment is cancelled: nothing is held, and what still arrives is surplus."""


class PaymentReviewRequested(PaymentEvent, frozen=True, tag="payments.payment_review_requested"):
    """A person has to look before anything goes on."""

    operation: UUID


class PaymentReviewed(PaymentEvent, frozen=True, tag="payments.payment_reviewed"):
    """A person has looked: what was held back is sent, or never will be."""

    operation: UUID
    verdict: Verdict


class PaymentSucceededLate(PaymentEvent, frozen=True, tag="payments.payment_succeeded_late"):
    """An operation that counted as over has succeeded after all; `surplus` where its money is not owed any more."""

    operation: UUID
    kind: OperationKind
    surplus: bool


class RefundRequested(PaymentEvent, frozen=True, tag="payments.refund_requested"):
    """Captured money is to go back to the payer."""

    operation: UUID


class RefundSucceeded(PaymentEvent, frozen=True, tag="payments.refund_succeeded"):
    """Money went back to the payer."""

    operation: UUID


class RefundFailed(PaymentEvent, frozen=True, tag="payments.refund_failed"):
    """A refund was refused or cancelled: its amount can be refunded again."""

    operation: UUID
    error_class: ErrorClass


class DisputeOpened(PaymentEvent, frozen=True, tag="payments.dispute_opened"):
    """The payer's bank disputes a capture; it can be answered until `respond_by`, where the provider says so."""

    operation: UUID
    respond_by: datetime | None = None


class DisputeClosed(PaymentEvent, frozen=True, tag="payments.dispute_closed"):
    """A dispute is over; the money is gone where `lost`."""

    operation: UUID
    lost: bool


class OperationBecameUnknown(PaymentEvent, frozen=True, tag="payments.operation_became_unknown"):
    """It was sent, and nobody knows what became of it: it will be looked up."""

    operation: UUID
    kind: OperationKind


class MismatchOpened(Event, frozen=True, tag="payments.mismatch_opened"):
    """Our books and a provider's differ, and a person has to look; no payment where it is of none of ours."""

    item: UUID
    kind: str
    payment: UUID | None
    operation: UUID | None
    provider: str


class MismatchResolved(Event, frozen=True, tag="payments.mismatch_resolved"):
    """A person has looked at a difference, and said why nothing is left to do, or what is."""

    item: UUID
    kind: str
    payment: UUID | None
    provider: str
