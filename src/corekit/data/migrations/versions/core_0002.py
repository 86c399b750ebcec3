"""What is installed and policed, handled-once events, cron slots, and the keys of people."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant, Json

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "corekit_plugin",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("revisions", Json(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_corekit_plugin"),
    )
    op.create_table(
        "corekit_policy",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_corekit_policy"),
    )
    op.create_table(
        "corekit_once",
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("event", Id(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("listener", "event", name="pk_corekit_once"),
    )
    op.create_index("ix_corekit_once_created_at", "corekit_once", ["created_at"])
    op.create_table(
        "corekit_schedule",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name="pk_corekit_schedule"),
    )
    op.create_table(
        "corekit_dek",
        sa.Column("subject", Id(), nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_corekit_dek"),
    )
    op.create_index("ix_corekit_dek_key_id", "corekit_dek", ["key_id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("corekit_dek", "corekit_schedule", "corekit_once", "corekit_policy", "corekit_plugin"):
        op.drop_table(table)
