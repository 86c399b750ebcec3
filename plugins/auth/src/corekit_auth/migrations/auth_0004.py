"""The refresh tokens of version 1 of sessions that were taken over from Supabase."""

import sqlalchemy as sa
from alembic import op

revision = "auth_0004"
down_revision = "auth_0003"
branch_labels = None
depends_on = None
phase = "expand"


def upgrade() -> None:
    """Add the column and its index: a token belongs to one session."""
    op.add_column("auth_sessions", sa.Column("legacy_mac", sa.LargeBinary()))
    with op.get_context().autocommit_block():
        op.create_index(
            "uq_auth_sessions_legacy_mac", "auth_sessions", ["legacy_mac"], unique=True, postgresql_concurrently=True
        )


def downgrade() -> None:
    """Take both away."""
    op.drop_index("uq_auth_sessions_legacy_mac", "auth_sessions")
    with op.batch_alter_table("auth_sessions") as batch:
        batch.drop_column("legacy_mac")
