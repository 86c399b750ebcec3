"""The core's tables: outbox, jobs, rate limits."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant

revision = "core_0001"
down_revision = None
branch_labels = ("core",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "corekit_outbox",
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("run_after", Instant()),
        sa.Column("tenant", Id()),
        sa.Column("actor", Id()),
        sa.Column("trace", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corekit_outbox"),
    )
    op.create_index("ix_corekit_outbox_created_at", "corekit_outbox", ["created_at"])
    op.create_table(
        "corekit_job",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("run_after", Instant(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("owner", Id()),
        sa.Column("lease_until", Instant()),
        sa.Column("last_error", sa.Text()),
        sa.Column("tenant", Id()),
        sa.Column("actor", Id()),
        sa.Column("trace", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corekit_job"),
    )
    is_open = sa.text("state != 'buried'")
    op.create_index(
        "uq_corekit_job_key_open", "corekit_job", ["key"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_corekit_job_due", "corekit_job", ["state", "run_after"])
    op.create_table(
        "corekit_limits",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("tat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_corekit_limits"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("corekit_limits", "corekit_job", "corekit_outbox"):
        op.drop_table(table)
