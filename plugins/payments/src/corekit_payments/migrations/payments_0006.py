"""Reconciliation: the runs, which operations were found there, when holds end, and the ledger's sums by the hour."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "payments_0006"
down_revision = "payments_0005"
branch_labels = None
depends_on = None
phase = "expand"

_HELD = "kind = 'authorize' AND state = 'succeeded' AND expires_at IS NOT NULL"
_UNSEEN = "reconciled_at IS NULL AND state = 'succeeded'"


def upgrade() -> None:
    """Make the table, and add the column with its index."""
    op.create_table(
        "payments_recon_run",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("stream", "provider", "state", "cursor")),
        *(sa.Column(name, Instant(), nullable=False) for name in ("since", "began_at")),
        *(sa.Column(name, Instant()) for name in ("lease_until", "next_at", "ended_at")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("lock_token", "failures")),
        sa.Column("counts", Json(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.PrimaryKeyConstraint("stream", "provider", name="pk_payments_recon_run"),
    )
    op.create_table(
        "payments_ledger_rollup",
        sa.Column("account", Id(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("debit", "credit", "count")),
        sa.PrimaryKeyConstraint("account", "until", name="pk_payments_ledger_rollup"),
        sa.ForeignKeyConstraint(["account"], ["payments_ledger_account.id"], name="fk_payments_ledger_rollup_account"),
    )
    op.create_index("ix_payments_ledger_rollup_until", "payments_ledger_rollup", ["until"])
    op.add_column("payments_recon_item", sa.Column("action", sa.Text()))
    for name in ("held_at", "released_at", "reconciled_at"):
        op.add_column("payments_operation", sa.Column(name, Instant()))
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_payments_operation_held",
            "payments_operation",
            ["expires_at"],
            sqlite_where=sa.text(_HELD),
            postgresql_where=sa.text(_HELD),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_payments_operation_unreconciled",
            "payments_operation",
            ["provider", "id"],
            sqlite_where=sa.text(_UNSEEN),
            postgresql_where=sa.text(_UNSEEN),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_payments_ledger_tx_created_at", "payments_ledger_tx", ["created_at"], postgresql_concurrently=True
        )


def downgrade() -> None:
    """Take them away."""
    for name in ("held", "unreconciled"):
        op.drop_index(f"ix_payments_operation_{name}", "payments_operation")
    with op.batch_alter_table("payments_operation") as batch:
        for name in ("held_at", "released_at", "reconciled_at"):
            batch.drop_column(name)
    with op.batch_alter_table("payments_recon_item") as batch:
        batch.drop_column("action")
    op.drop_index("ix_payments_ledger_tx_created_at", "payments_ledger_tx")
    op.drop_table("payments_ledger_rollup")
    op.drop_table("payments_recon_run")
