"""Chat's tables: conversations, members, messages, events."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "chat_0001"
down_revision = None
branch_labels = ("chat",)
depends_on = "core_0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "chat_conversation",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("direct_key", sa.Text()),
        sa.Column("title", sa.Text()),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("member_count", sa.BigInteger(), nullable=False),
        sa.Column("created_by", Id(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("active_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_conversation"),
        sa.UniqueConstraint("direct_key", name="uq_chat_conversation_direct_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "chat_member",
        sa.Column("conversation", Id(), nullable=False),
        sa.Column("usr", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("since_seq", sa.BigInteger(), nullable=False),
        sa.Column("left_at", Instant()),
        sa.Column("left_seq", sa.BigInteger()),
        sa.Column("delivered_seq", sa.BigInteger(), nullable=False),
        sa.Column("read_seq", sa.BigInteger(), nullable=False),
        sa.Column("read_no", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "usr", name="pk_chat_member"),
        sa.ForeignKeyConstraint(["conversation"], ["chat_conversation.id"], name="fk_chat_member_conversation"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chat_member_usr_conversation", "chat_member", ["usr", "conversation"])
    op.create_table(
        "chat_message",
        sa.Column("conversation", Id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("sender", Id(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text()),
        sa.Column("reply_to", Id()),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("edited_at", Instant()),
        sa.Column("deleted_at", Instant()),
        sa.PrimaryKeyConstraint("conversation", "seq", name="pk_chat_message"),
        sa.UniqueConstraint("id", name="uq_chat_message_id"),
        sa.UniqueConstraint(
            "conversation", "sender", "client_id", name="uq_chat_message_conversation_sender_client_id"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "chat_event",
        sa.Column("conversation", Id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", Id(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "seq", name="pk_chat_event"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        # Room in the page keeps the counters' updates heap-only (HOT): no index is touched.
        op.execute("ALTER TABLE chat_conversation SET (fillfactor = 50)")


def downgrade() -> None:
    """Drop the tables."""
    for table in ("chat_event", "chat_message", "chat_member", "chat_conversation"):
        op.drop_table(table)
