"""The event behind a job, the listeners of every process, and indexes in the order in which jobs are claimed."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant

revision = "core_0003"
down_revision = "core_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "corekit_listener",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "listener", name="pk_corekit_listener"),
    )
    op.add_column("corekit_job", sa.Column("origin", Id()))
    op.drop_index("ix_corekit_job_due", "corekit_job")
    queued, leased = sa.text("state = 'queued'"), sa.text("state = 'leased'")
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_corekit_job_queued",
            "corekit_job",
            ["priority", "run_after", "id"],
            sqlite_where=queued,
            postgresql_where=queued,
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_corekit_job_leased",
            "corekit_job",
            ["lease_until"],
            sqlite_where=leased,
            postgresql_where=leased,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_corekit_job_leased", "corekit_job")
    op.drop_index("ix_corekit_job_queued", "corekit_job")
    op.create_index("ix_corekit_job_due", "corekit_job", ["state", "run_after"])
    with op.batch_alter_table("corekit_job") as batch:
        batch.drop_column("origin")
    op.drop_table("corekit_listener")
