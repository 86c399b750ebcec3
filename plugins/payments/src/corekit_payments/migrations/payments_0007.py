"""Since when runs have left out nothing, and an index of payments by time."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Instant

revision = "payments_0007"
down_revision = "payments_0006"
branch_labels = None
depends_on = None
phase = "expand"


def upgrade() -> None:
    """Add both."""
    op.add_column("payments_recon_run", sa.Column("covered_since", Instant()))
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_payments_payment_created_at", "payments_payment", ["created_at", "id"], postgresql_concurrently=True
        )


def downgrade() -> None:
    """Take both away."""
    op.drop_index("ix_payments_payment_created_at", "payments_payment")
    with op.batch_alter_table("payments_recon_run") as batch:
        batch.drop_column("covered_since")
