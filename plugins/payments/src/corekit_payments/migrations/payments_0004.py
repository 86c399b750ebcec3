"""When a dispute was last known to be in its stage."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Instant

revision = "payments_0004"
down_revision = "payments_0003"
branch_labels = None
depends_on = None
phase = "expand"


def upgrade() -> None:
    """Add the column."""
    op.add_column("payments_operation", sa.Column("stage_at", Instant()))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("payments_operation") as batch:
        batch.drop_column("stage_at")
