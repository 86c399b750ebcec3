"""Fraud rules: counters, decisions, the list, and rules that somebody has changed."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant, Json

revision = "payments_0005"
down_revision = "payments_0004"
branch_labels = None
depends_on = None
phase = "expand"

_TABLES = ("payments_fraud_decision", "payments_fraud_counter", "payments_fraud_list", "payments_fraud_rule")
_COLUMNS = {"payments_payment": "allow_duplicate", "payments_attempt": "challenge"}


def upgrade() -> None:
    """Make the tables, and add what a payer means and a rule wants."""
    for table, column in _COLUMNS.items():
        op.add_column(table, sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False))
    _decision()
    op.create_table(
        "payments_fraud_counter",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("window_start", Instant(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("n", "sum")),
        sa.PrimaryKeyConstraint("scope", "window_start", name="pk_payments_fraud_counter"),
    )
    op.create_index("ix_payments_fraud_counter_window_start", "payments_fraud_counter", ["window_start"])
    op.create_table(
        "payments_fraud_list",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "mac", "value", "reason")),
        sa.Column("author", Id(), nullable=False),
        sa.Column("expires_at", Instant()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_fraud_list"),
        sa.UniqueConstraint("mac", name="uq_payments_fraud_list_mac"),
    )
    op.create_table(
        "payments_fraud_rule",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("rule", "mode")),
        sa.Column("parameters", Json(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", Id(), nullable=False),
        *(sa.Column(name, Instant(), nullable=False) for name in ("created_at", "updated_at")),
        sa.PrimaryKeyConstraint("id", name="pk_payments_fraud_rule"),
    )


def downgrade() -> None:
    """Take all of it away."""
    for table in _TABLES:
        op.drop_table(table)
    for table, column in _COLUMNS.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)


def _decision() -> None:
    op.create_table(
        "payments_fraud_decision",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, Id(), nullable=False) for name in ("payment_id", "operation_id")),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_fraud_decision"),
        *(
            sa.ForeignKeyConstraint(
                [f"{parent}_id"], [f"payments_{parent}.id"], name=f"fk_payments_fraud_decision_{parent}_id"
            )
            for parent in ("payment", "operation")
        ),
    )
    for column in ("payment_id", "created_at"):
        op.create_index(f"ix_payments_fraud_decision_{column}", "payments_fraud_decision", [column])
