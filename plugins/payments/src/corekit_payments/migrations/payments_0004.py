"""When a dispute was last known to be in its stage, and an index of what is surplus."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Instant

revision = "payments_0004"
down_revision = "payments_0003"
branch_labels = None
depends_on = None
phase = "expand"


def upgrade() -> None:
    """Add both."""
    op.add_column("payments_operation", sa.Column("stage_at", Instant()))
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_payments_operation_surplus",
            "payments_operation",
            ["id"],
            sqlite_where=sa.text("surplus = 1"),
            postgresql_where=sa.text("surplus"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Take both away."""
    op.drop_index("ix_payments_operation_surplus", "payments_operation")
    with op.batch_alter_table("payments_operation") as batch:
        batch.drop_column("stage_at")
