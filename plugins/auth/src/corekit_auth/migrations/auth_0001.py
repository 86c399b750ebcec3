"""Auth's tables: users, identities, sessions, signing keys, revocations, failures."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "auth_0001"
down_revision = None
branch_labels = ("auth",)
depends_on = "core_0001"


def upgrade() -> None:
    """Make the tables."""
    _people()
    op.create_table(
        "auth_sessions",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("hmac_key", sa.Text(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("counter_floor", sa.BigInteger(), nullable=False),
        sa.Column("aal", sa.BigInteger(), nullable=False),
        sa.Column("amr", Json(), nullable=False),
        sa.Column("not_after", Instant()),
        sa.Column("refreshed_at", Instant()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("ip", sa.Text()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], name="fk_auth_sessions_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_auth_sessions_user_id", "auth_sessions", ["user_id"])
    _secrets()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("failures", "revocations", "signing_keys", "sessions", "identities", "users"):
        op.drop_table(f"auth_{table}")


def _people() -> None:
    op.create_table(
        "auth_users",
        sa.Column("id", Id(), nullable=False),
        sa.Column("aud", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("email_confirmed_at", Instant()),
        sa.Column("app_metadata", Json(), nullable=False),
        sa.Column("user_metadata", Json(), nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("banned_until", Instant()),
        sa.Column("deleted_at", Instant()),
        sa.Column("last_sign_in_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_users"),
        sa.UniqueConstraint("email", name="uq_auth_users_email"),
    )
    op.create_table(
        "auth_identities",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("identity_data", Json(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("last_sign_in_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], name="fk_auth_identities_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("provider", "provider_id", name="uq_auth_identities_provider_provider_id"),
    )
    op.create_index("ix_auth_identities_user_id", "auth_identities", ["user_id"])


def _secrets() -> None:
    op.create_table(
        "auth_signing_keys",
        sa.Column("id", Id(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("alg", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("private", sa.Text(), nullable=False),
        sa.Column("public", Json(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_signing_keys"),
        sa.UniqueConstraint("kid", name="uq_auth_signing_keys_kid"),
    )
    one = sa.text("state = 'signing'")
    op.create_index(
        "uq_auth_signing_keys_signing",
        "auth_signing_keys",
        ["state"],
        unique=True,
        sqlite_where=one,
        postgresql_where=one,
    )
    op.create_table(
        "auth_revocations",
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_auth_revocations"),
    )
    op.create_index("ix_auth_revocations_created_at", "auth_revocations", ["created_at"])
    op.create_table(
        "auth_failures",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_auth_failures"),
    )
