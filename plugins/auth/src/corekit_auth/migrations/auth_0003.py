"""Second factors, recovery codes, passkeys, and their challenges."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "auth_0003"
down_revision = "auth_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _factors()
    _passkeys()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("passkey_challenges", "passkeys", "recovery_codes", "challenges", "factors"):
        op.drop_table(f"auth_{table}")


def _factors() -> None:
    op.create_table(
        "auth_factors",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("friendly_name", sa.Text()),
        sa.Column("secret", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("credential", Json()),
        sa.Column("last_step", sa.BigInteger()),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", Instant()),
        sa.Column("last_challenged_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], name="fk_auth_factors_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_auth_factors_user_id", "auth_factors", ["user_id"])
    op.create_index(
        "uq_auth_factors_user_id_friendly_name",
        "auth_factors",
        ["user_id", "friendly_name"],
        unique=True,
        sqlite_where=sa.text("friendly_name <> ''"),
        postgresql_where=sa.text("friendly_name <> ''"),
    )
    op.create_table(
        "auth_challenges",
        sa.Column("id", Id(), nullable=False),
        sa.Column("factor_id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("otp_mac", sa.LargeBinary()),
        sa.Column("webauthn", Json()),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_challenges"),
        sa.ForeignKeyConstraint(
            ["factor_id"], ["auth_factors.id"], name="fk_auth_challenges_factor_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["auth_sessions.id"], name="fk_auth_challenges_session_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_auth_challenges_expires_at", "auth_challenges", ["expires_at"])
    op.create_index("ix_auth_challenges_factor_id", "auth_challenges", ["factor_id"])
    op.create_index("ix_auth_challenges_session_id", "auth_challenges", ["session_id"])
    op.create_table(
        "auth_recovery_codes",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_recovery_codes"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_users.id"], name="fk_auth_recovery_codes_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("user_id", "mac", name="uq_auth_recovery_codes_user_id_mac"),
    )


def _passkeys() -> None:
    op.create_table(
        "auth_passkeys",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("aaguid", sa.Text(), nullable=False),
        sa.Column("transports", Json(), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("friendly_name", sa.Text()),
        sa.Column("last_used_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_passkeys"),
        sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], name="fk_auth_passkeys_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("credential_id", name="uq_auth_passkeys_credential_id"),
    )
    op.create_index("ix_auth_passkeys_user_id", "auth_passkeys", ["user_id"])
    op.create_table(
        "auth_passkey_challenges",
        sa.Column("id", Id(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", Id()),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_passkey_challenges"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_users.id"], name="fk_auth_passkey_challenges_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_auth_passkey_challenges_expires_at", "auth_passkey_challenges", ["expires_at"])
    op.create_index("ix_auth_passkey_challenges_user_id", "auth_passkey_challenges", ["user_id"])
