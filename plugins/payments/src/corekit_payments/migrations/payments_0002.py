"""The ledger."""

import sqlalchemy as sa
from alembic import op

from corekit.data import Id, Instant

revision = "payments_0002"
down_revision = "payments_0001"
branch_labels = None
depends_on = None
phase = "expand"

_TABLES = ("payments_posting", "payments_ledger_tx", "payments_ledger_account")


def upgrade() -> None:
    """Make the tables, and let nobody change their rows."""
    op.create_table(
        "payments_ledger_account",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("code", "currency", "kind")),
        sa.Column("owner", Id()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_ledger_account"),
    )
    op.create_table(
        "payments_ledger_tx",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", Id()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("source", "kind")),
        sa.Column("operation_id", Id()),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments_ledger_tx"),
        sa.ForeignKeyConstraint(["operation_id"], ["payments_operation.id"], name="fk_payments_ledger_tx_operation_id"),
        sa.UniqueConstraint("source", "kind", name="uq_payments_ledger_tx_source_kind"),
    )
    op.create_index("ix_payments_ledger_tx_operation_id", "payments_ledger_tx", ["operation_id"])
    op.create_table(
        "payments_posting",
        sa.Column("tx", Id(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("tenant", Id()),
        sa.Column("debit", Id(), nullable=False),
        sa.Column("credit", Id(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tx", "n", name="pk_payments_posting"),
        sa.ForeignKeyConstraint(["tx"], ["payments_ledger_tx.id"], name="fk_payments_posting_tx"),
        *(
            sa.ForeignKeyConstraint([side], ["payments_ledger_account.id"], name=f"fk_payments_posting_{side}")
            for side in ("debit", "credit")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_posting_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_payments_posting_pair")),
    )
    for side in ("debit", "credit"):
        op.create_index(f"ix_payments_posting_{side}", "payments_posting", [side])
    _freeze()


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION payments_append_only()")


def _freeze() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION payments_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$ "
            "BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $body$"
        )
        for table in _TABLES:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION payments_append_only()"
            )
        return
    for table in _TABLES:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )
