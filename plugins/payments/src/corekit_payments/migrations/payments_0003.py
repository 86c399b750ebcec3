"""The inbox of webhooks."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "payments_0003"
down_revision = "payments_0002"
branch_labels = None
depends_on = None
phase = "expand"

_INDEXES = {"raw": sa.text("raw IS NOT NULL"), "received": sa.text("state = 'received'")}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "payments_webhook_inbox",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("provider", "event_id")),
        sa.Column("tenant", Id()),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("raw", sa.Text()),
        *(sa.Column(name, Json(), nullable=False) for name in ("headers", "event")),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("provider", "event_id", name="pk_payments_webhook_inbox"),
    )
    for name, where in _INDEXES.items():
        op.create_index(
            f"ix_payments_webhook_inbox_{name}",
            "payments_webhook_inbox",
            ["received_at"],
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("payments_webhook_inbox")
