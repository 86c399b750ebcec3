"""The audit log."""

import sqlalchemy as sa
from alembic import op

from corekit.data.base import Id, Instant, Json

revision = "core_0005"
down_revision = "core_0004"
branch_labels = None
depends_on = None

# Deleting is left to those with service rights, for the end of an entry's time.
_SQLITE = """
CREATE TRIGGER corekit_audit_append_only BEFORE UPDATE ON corekit_audit
BEGIN SELECT RAISE(ABORT, 'corekit_audit is append-only'); END
"""
_FUNCTION = """
CREATE FUNCTION corekit_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN RAISE EXCEPTION 'corekit_audit is append-only'; END $body$
"""
_TRIGGER = """
CREATE TRIGGER corekit_audit_append_only BEFORE UPDATE ON corekit_audit
FOR EACH ROW EXECUTE FUNCTION corekit_audit_append_only()
"""


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "corekit_audit",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id(), nullable=True),
        sa.Column("actor", Id(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("on_behalf_of", Id(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=True),
        sa.Column("target_id", sa.Text(), nullable=True),
        sa.Column("details", Json(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corekit_audit"),
    )
    op.create_index("ix_corekit_audit_created_at", "corekit_audit", ["created_at", "id"])
    op.create_index("ix_corekit_audit_actor", "corekit_audit", ["actor", "created_at", "id"])
    op.create_index("ix_corekit_audit_target", "corekit_audit", ["target_kind", "target_id", "created_at", "id"])
    for statement in (_SQLITE,) if op.get_context().dialect.name == "sqlite" else (_FUNCTION, _TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("corekit_audit")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION corekit_audit_append_only()")
