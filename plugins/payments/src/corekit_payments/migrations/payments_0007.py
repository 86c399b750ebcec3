"""An index of payments by time: lists of everybody's, the newest first, and how many of the last hour were refused."""

from alembic import op

revision = "payments_0007"
down_revision = "payments_0006"
branch_labels = None
depends_on = None
phase = "expand"


def upgrade() -> None:
    """Add it."""
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_payments_payment_created_at", "payments_payment", ["created_at", "id"], postgresql_concurrently=True
        )


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ix_payments_payment_created_at", "payments_payment")
