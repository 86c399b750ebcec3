"""Idempotency keys."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant

revision = "core_0006"
down_revision = "core_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "corekit_idempotency",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id(), nullable=True),
        sa.Column("principal", Id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lock_token", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_corekit_idempotency"),
    )
    op.create_index("ix_corekit_idempotency_resource", "corekit_idempotency", ["resource"])
    op.create_index("ix_corekit_idempotency_finished_at", "corekit_idempotency", ["finished_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("corekit_idempotency")
