"""Payments' tables: payments, attempts, operations, and what differs from a provider's books."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "payments_0001"
down_revision = None
branch_labels = ("payments",)
depends_on = "core_0001"


def upgrade() -> None:
    """Make the tables."""
    _payment()
    _attempt()
    _operation()
    op.create_table(
        "payments_recon_item",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "provider", "our_ref", "their_ref")),
        sa.Column("ours", Json(), nullable=False),
        sa.Column("theirs", Json(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("resolved_by", Id()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("resolved_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_recon_item"),
        sa.UniqueConstraint(
            "kind",
            "provider",
            "our_ref",
            "their_ref",
            name="uq_payments_recon_item_kind_provider_our_ref_their_ref",
        ),
    )


def _payment() -> None:
    totals = ("authorized", "captured", "capture_pending", "refunded", "refund_pending", "disputed")
    op.create_table(
        "payments_payment",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("payer", Id(), nullable=False),
        sa.Column("payee", Id()),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("capture_method", sa.Text(), nullable=False),
        sa.Column("merchant_reference", sa.Text()),
        sa.Column("provider", sa.Text()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("status", "refund_status", "dispute_status")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*totals, "max_attempts")),
        sa.Column("cancel_requested_at", Instant()),
        sa.Column("description", sa.Text()),
        sa.Column("details", Json(), nullable=False),
        sa.Column("return_url", sa.Text()),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_payment"),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_payment_amount")),
        sa.CheckConstraint("authorized >= 0 AND authorized <= amount", name=op.f("ck_payments_payment_authorized")),
        sa.CheckConstraint(
            "captured >= 0 AND capture_pending >= 0 AND captured + capture_pending <= authorized",
            name=op.f("ck_payments_payment_captured"),
        ),
        sa.CheckConstraint(
            "refunded >= 0 AND refund_pending >= 0 AND refunded + refund_pending <= captured",
            name=op.f("ck_payments_payment_refunded"),
        ),
        sa.CheckConstraint("disputed >= 0", name=op.f("ck_payments_payment_disputed")),
    )
    op.create_index("ix_payments_payment_payer_created_at", "payments_payment", ["payer", "created_at"])
    op.create_index("ix_payments_payment_payee_created_at", "payments_payment", ["payee", "created_at"])


def _attempt() -> None:
    op.create_table(
        "payments_attempt",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("payment_id", Id(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("payer", Id(), nullable=False),
        sa.Column("method_type", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("method_token", "vpa", "instrument")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("address", "agent", "device")),
        sa.Column("next_action", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_attempt"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments_payment.id"], name="fk_payments_attempt_payment_id"),
        sa.UniqueConstraint("payment_id", "n", name="uq_payments_attempt_payment_id_n"),
    )


def _operation() -> None:
    op.create_table(
        "payments_operation",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("payment_id", Id(), nullable=False),
        sa.Column("attempt_id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("surplus", sa.Boolean(), nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("of", Id()),
        sa.Column("initiator", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reason", "provider", "provider_key", "reference")),
        sa.Column("provider_ref", sa.Text()),
        sa.Column("sends", sa.BigInteger(), nullable=False),
        sa.Column("unsent", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", Instant()),
        sa.Column("next_check_at", Instant()),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Instant()),
        sa.Column("lock_token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", Instant()),
        *(sa.Column(name, sa.Text()) for name in ("error_class", "review", "stage")),
        sa.Column("fee", sa.BigInteger()),
        sa.Column("seen", Json(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_operation"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments_payment.id"], name="fk_payments_operation_payment_id"),
        sa.ForeignKeyConstraint(["attempt_id"], ["payments_attempt.id"], name="fk_payments_operation_attempt_id"),
        sa.ForeignKeyConstraint(["of"], ["payments_operation.id"], name="fk_payments_operation_of"),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_operation_amount")),
        sa.CheckConstraint("unsent >= 0 AND unsent <= sends", name=op.f("ck_payments_operation_unsent")),
        sa.UniqueConstraint("provider_key", name="uq_payments_operation_provider_key"),
        sa.UniqueConstraint("reference", name="uq_payments_operation_reference"),
        sa.UniqueConstraint("payment_id", "seq", name="uq_payments_operation_payment_id_seq"),
        sa.UniqueConstraint(
            "provider", "provider_ref", "kind", name="uq_payments_operation_provider_provider_ref_kind"
        ),
    )
    in_hand = sa.text("state IN ('created', 'sending', 'unknown')")
    op.create_index(
        "uq_payments_operation_in_hand",
        "payments_operation",
        ["payment_id"],
        unique=True,
        sqlite_where=in_hand,
        postgresql_where=in_hand,
    )
    due = sa.text("next_check_at IS NOT NULL")
    op.create_index(
        "ix_payments_operation_due",
        "payments_operation",
        ["next_check_at"],
        sqlite_where=due,
        postgresql_where=due,
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("payments_recon_item", "payments_operation", "payments_attempt", "payments_payment"):
        op.drop_table(table)
