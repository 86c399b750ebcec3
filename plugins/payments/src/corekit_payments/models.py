"""The tables of payments. People read through the policies; whoever writes does it for the purpose `payments`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, exists, false, or_, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.contracts.payments import (
    CaptureMethod,
    DisputeStage,
    DisputeStatus,
    ErrorClass,
    OperationKind,
    OperationState,
    PaymentStatus,
    RefundStatus,
    ReviewReason,
)
from corekit.data import PII, Base, Encrypted, Json, Policy, actor, has_permission

PURPOSE = "payments"
READ = "payments:payment:read"
RECONCILE = "payments:recon:resolve"
IN_HAND = "state IN ('created', 'sending', 'unknown')"
HELD = "kind = 'authorize' AND state = 'succeeded' AND expires_at IS NOT NULL"
UNRECONCILED = "reconciled_at IS NULL AND state = 'succeeded'"


class PaymentRow(Base):
    """What somebody wants to pay, and what has become of it: `applying` alone writes the status and the totals.

    Totals are minor units of `currency`. `max_attempts` is the setting of the day it was made, so that the status
    follows from the rows. After `cancel_requested_at` whatever still arrives is surplus. With `allow_duplicate` its
    payer means it although they have just paid the same.
    """

    __tablename__ = "payments_payment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    payer: Mapped[Annotated[UUID, PII("id", subject="payer")]]
    payee: Mapped[Annotated[UUID | None, PII("id", subject="payee")]]  # null for the operator
    amount: Mapped[int]
    currency: Mapped[str]
    capture_method: Mapped[CaptureMethod]
    merchant_reference: Mapped[str | None]
    provider: Mapped[str | None]  # the last attempt's
    status: Mapped[PaymentStatus]
    refund_status: Mapped[RefundStatus]
    dispute_status: Mapped[DisputeStatus]
    authorized: Mapped[int]
    captured: Mapped[int]
    capture_pending: Mapped[int]
    refunded: Mapped[int]
    refund_pending: Mapped[int]
    disputed: Mapped[int]
    max_attempts: Mapped[int]
    cancel_requested_at: Mapped[datetime | None]
    description: Mapped[Annotated[str | None, PII("free_text", subject="payer")]]
    details: Mapped[Annotated[Any, PII("free_text", subject="payer")]] = mapped_column(Json())
    return_url: Mapped[Annotated[str | None, PII("free_text", subject="payer")]]
    allow_duplicate: Mapped[bool] = mapped_column(default=False, server_default=false())
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("authorized >= 0 AND authorized <= amount", name="authorized"),
        CheckConstraint(
            "captured >= 0 AND capture_pending >= 0 AND captured + capture_pending <= authorized", name="captured"
        ),
        CheckConstraint(
            "refunded >= 0 AND refund_pending >= 0 AND refunded + refund_pending <= captured", name="refunded"
        ),
        CheckConstraint("disputed >= 0", name="disputed"),
        Index("ix_payments_payment_payer_created_at", "payer", "created_at"),
        Index("ix_payments_payment_payee_created_at", "payee", "created_at"),
        Index("ix_payments_payment_created_at", "created_at", "id"),  # staff list everybody's, the newest first
    )


class AttemptRow(Base):
    """One try to pay by one method; the payee does not see it. `next_action` is for the payer's eyes.

    With `challenge` our rules want the payer to prove who they are.
    """

    __tablename__ = "payments_attempt"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments_payment.id"))
    n: Mapped[int]
    payer: Mapped[Annotated[UUID, PII("id", subject="payer")]]
    method_type: Mapped[str]
    method_token: Mapped[Annotated[str | None, PII("payment", subject="payer")]]
    vpa: Mapped[Annotated[str, PII("payment", subject="payer")] | None] = mapped_column(Encrypted(subject="payer"))
    instrument: Mapped[Annotated[str | None, PII("payment", subject="payer")]]  # a blind index
    address: Mapped[Annotated[str, PII("ip", subject="payer")]]
    agent: Mapped[Annotated[str, PII("device", subject="payer")]]
    device: Mapped[Annotated[str, PII("device", subject="payer")]]
    next_action: Mapped[Annotated[str, PII("payment", subject="payer")] | None] = mapped_column(
        Encrypted(subject="payer")
    )
    challenge: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("payment_id", "n"),)


class OperationRow(Base):
    """One thing asked of a provider: its key and reference are committed before the first call, and never change.

    `seq` counts all operations of a payment. `superseded` says that what a refused one would have moved was given to
    another since, so that its success comes too late to count; `seen` is the evidence, the newest last. A dispute
    alone has a `stage`, since `stage_at`; its `expires_at` is the time until which it can be answered. An authorisation
    alone was last known to be held at `held_at`, and to be over at `released_at`.
    """

    __tablename__ = "payments_operation"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments_payment.id"))
    attempt_id: Mapped[UUID] = mapped_column(ForeignKey("payments_attempt.id"))
    kind: Mapped[OperationKind]
    seq: Mapped[int]
    amount: Mapped[int]
    final: Mapped[bool]
    state: Mapped[OperationState]
    surplus: Mapped[bool]
    superseded: Mapped[bool]
    of: Mapped[UUID | None] = mapped_column(ForeignKey("payments_operation.id"))
    initiator: Mapped[Annotated[UUID | None, PII("id", subject="initiator")]]
    reason: Mapped[Annotated[str, PII("free_text", subject="initiator")]]
    provider: Mapped[str]
    provider_key: Mapped[str] = mapped_column(unique=True)
    reference: Mapped[str] = mapped_column(unique=True)
    provider_ref: Mapped[str | None]
    sends: Mapped[int]
    unsent: Mapped[int]
    sent_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    checks: Mapped[int]
    lease_until: Mapped[datetime | None]
    lock_token: Mapped[int]
    expires_at: Mapped[datetime | None]
    error_class: Mapped[ErrorClass | None]
    review: Mapped[ReviewReason | None]
    stage: Mapped[DisputeStage | None]
    stage_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    fee: Mapped[int | None]
    seen: Mapped[list[Any]]
    reconciled_at: Mapped[datetime | None]  # when the provider's own list agreed
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("unsent >= 0 AND unsent <= sends", name="unsent"),
        UniqueConstraint("payment_id", "seq"),
        UniqueConstraint("provider", "provider_ref", "kind"),
        Index(
            "uq_payments_operation_in_hand",
            "payment_id",
            unique=True,
            sqlite_where=text(IN_HAND),
            postgresql_where=text(IN_HAND),
        ),
        Index(
            "ix_payments_operation_surplus",
            "id",
            sqlite_where=text("surplus = 1"),
            postgresql_where=text("surplus"),
        ),
        Index(
            "ix_payments_operation_due",
            "next_check_at",
            sqlite_where=text("next_check_at IS NOT NULL"),
            postgresql_where=text("next_check_at IS NOT NULL"),
        ),
        Index(
            "ix_payments_operation_held",
            "expires_at",
            sqlite_where=text(HELD),
            postgresql_where=text(HELD),
        ),
        Index(
            "ix_payments_operation_unreconciled",
            "provider",
            "id",
            sqlite_where=text(UNRECONCILED),
            postgresql_where=text(UNRECONCILED),
        ),
    )

    @property
    def released(self) -> bool:
        """Whether what was held is not held any more."""
        return self.released_at is not None and (self.held_at is None or self.held_at <= self.released_at)


class ReconciliationItemRow(Base):
    """A difference between our books and a provider's, kept until somebody resolves it: one row however often seen.

    `parked` is what may still explain itself, and was told to nobody yet; then it is `open` until it is `resolved`.
    """

    __tablename__ = "payments_recon_item"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    kind: Mapped[str]
    provider: Mapped[str]
    our_ref: Mapped[str]
    their_ref: Mapped[str]
    ours: Mapped[dict[str, Any]]
    theirs: Mapped[dict[str, Any]]
    state: Mapped[str]
    action: Mapped[str | None]  # by which a person resolved it
    resolved_by: Mapped[Annotated[UUID | None, PII("id", subject="resolved_by")]]
    reason: Mapped[Annotated[str, PII("free_text", subject="resolved_by")]]
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("kind", "provider", "our_ref", "their_ref"),)


Policy(
    PaymentRow,
    read=lambda p: or_(p.payer == actor(), p.payee == actor(), has_permission(READ)),
)
Policy(AttemptRow, read=lambda a: or_(a.payer == actor(), has_permission(READ)))
Policy(OperationRow, read=lambda o: exists().where(PaymentRow.id == o.payment_id))  # who sees the payment
Policy(ReconciliationItemRow, read=lambda _: has_permission(RECONCILE))
