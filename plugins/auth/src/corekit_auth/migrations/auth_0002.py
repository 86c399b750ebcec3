"""Phones, addresses that change, codes, flows, known devices, service keys."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant

revision = "auth_0002"
down_revision = "auth_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and make the tables."""
    _people()
    _codes()
    _devices()


def downgrade() -> None:
    """Drop both."""
    for table in ("service_keys", "known_devices", "flow_states", "one_time_tokens"):
        op.drop_table(f"auth_{table}")
    op.drop_index("uq_auth_users_phone_index", "auth_users")
    for column in ("scopes", "client_id", "tag", "factor_id"):
        op.drop_column("auth_sessions", column)
    for column in (
        "is_sso",
        "phone_change_sent_at",
        "new_phone",
        "email_change_status",
        "email_change_sent_at",
        "new_email",
        "reauthentication_sent_at",
        "recovery_sent_at",
        "confirmation_sent_at",
        "invited_at",
        "phone_confirmed_at",
        "phone_index",
        "phone",
    ):
        op.drop_column("auth_users", column)


def _people() -> None:
    op.add_column("auth_users", sa.Column("phone", sa.Text()))
    op.add_column("auth_users", sa.Column("phone_index", sa.LargeBinary()))
    op.add_column("auth_users", sa.Column("phone_confirmed_at", Instant()))
    op.add_column("auth_users", sa.Column("invited_at", Instant()))
    op.add_column("auth_users", sa.Column("confirmation_sent_at", Instant()))
    op.add_column("auth_users", sa.Column("recovery_sent_at", Instant()))
    op.add_column("auth_users", sa.Column("reauthentication_sent_at", Instant()))
    op.add_column("auth_users", sa.Column("new_email", sa.Text()))
    op.add_column("auth_users", sa.Column("email_change_sent_at", Instant()))
    op.add_column("auth_users", sa.Column("email_change_status", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("auth_users", sa.Column("new_phone", sa.Text()))
    op.add_column("auth_users", sa.Column("phone_change_sent_at", Instant()))
    op.add_column("auth_users", sa.Column("is_sso", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("auth_sessions", sa.Column("factor_id", Id()))
    op.add_column("auth_sessions", sa.Column("tag", sa.Text()))
    op.add_column("auth_sessions", sa.Column("client_id", sa.Text()))
    op.add_column("auth_sessions", sa.Column("scopes", sa.Text()))
    with op.get_context().autocommit_block():
        op.create_index(
            "uq_auth_users_phone_index", "auth_users", ["phone_index"], unique=True, postgresql_concurrently=True
        )


def _codes() -> None:
    op.create_table(
        "auth_one_time_tokens",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_one_time_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_users.id"], name="fk_auth_one_time_tokens_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("user_id", "kind", name="uq_auth_one_time_tokens_user_id_kind"),
    )
    op.create_index("ix_auth_one_time_tokens_address_index", "auth_one_time_tokens", ["address_index"])
    op.create_index("ix_auth_one_time_tokens_expires_at", "auth_one_time_tokens", ["expires_at"])
    op.create_index("ix_auth_one_time_tokens_mac", "auth_one_time_tokens", ["mac"])
    op.create_table(
        "auth_flow_states",
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text()),
        sa.Column("code_challenge", sa.Text()),
        sa.Column("code_challenge_method", sa.Text()),
        sa.Column("state_mac", sa.LargeBinary()),
        sa.Column("auth_code_mac", sa.LargeBinary()),
        sa.Column("redirect_to", sa.Text()),
        sa.Column("user_id", Id()),
        sa.Column("payload", sa.Text()),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_flow_states"),
        sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], name="fk_auth_flow_states_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_auth_flow_states_expires_at", "auth_flow_states", ["expires_at"])
    op.create_index("ix_auth_flow_states_user_id", "auth_flow_states", ["user_id"])
    op.create_index("uq_auth_flow_states_auth_code_mac", "auth_flow_states", ["auth_code_mac"], unique=True)
    op.create_index("uq_auth_flow_states_state_mac", "auth_flow_states", ["state_mac"], unique=True)


def _devices() -> None:
    op.create_table(
        "auth_known_devices",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("device_mac", sa.LargeBinary(), nullable=False),
        sa.Column("last_seen_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_known_devices"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["auth_users.id"], name="fk_auth_known_devices_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("user_id", "device_mac", name="uq_auth_known_devices_user_id_device_mac"),
    )
    op.create_table(
        "auth_service_keys",
        sa.Column("id", Id(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant()),
        sa.Column("revoked_at", Instant()),
        sa.Column("last_used_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_auth_service_keys"),
    )
