"""The development sink of mail and SMS."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant

revision = "core_0004"
down_revision = "core_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "corekit_sent",
        sa.Column("id", Id(), nullable=False),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corekit_sent"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("corekit_sent")
