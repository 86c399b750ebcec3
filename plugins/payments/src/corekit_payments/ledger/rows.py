"""The tables of the ledger: rows are added and never changed, which triggers of both databases see to."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Policy, has_permission

READ_LEDGER = "payments:ledger:read"
AccountKind = Literal["asset", "liability"]


class LedgerAccountRow(Base):
    """An account in one currency; its id follows from tenant, code and currency. `owner` is the payee whose it is."""

    __tablename__ = "payments_ledger_account"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    code: Mapped[Annotated[str, PII("id", subject="owner")]]
    owner: Mapped[Annotated[UUID | None, PII("id", subject="owner")]]
    currency: Mapped[str]
    kind: Mapped[AccountKind]
    created_at: Mapped[datetime]


class LedgerTransactionRow(Base):
    """One happening, once: `source` is what it is of, as `op:<id>`, and `kind` what happened to it."""

    __tablename__ = "payments_ledger_tx"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    source: Mapped[str]
    kind: Mapped[str]
    operation_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments_operation.id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("source", "kind"),
        Index("ix_payments_ledger_tx_operation_id", "operation_id"),
        Index("ix_payments_ledger_tx_created_at", "created_at"),
    )


class PostingRow(Base):
    """A balanced pair: `amount`, in minor units, from the account that is debited to the one that is credited."""

    __tablename__ = "payments_posting"

    tx: Mapped[UUID] = mapped_column(ForeignKey("payments_ledger_tx.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    debit: Mapped[UUID] = mapped_column(ForeignKey("payments_ledger_account.id"))
    credit: Mapped[UUID] = mapped_column(ForeignKey("payments_ledger_account.id"))
    amount: Mapped[int]
    currency: Mapped[str]

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit <> credit", name="pair"),
        Index("ix_payments_posting_debit", "debit"),
        Index("ix_payments_posting_credit", "credit"),
    )


class RollUpRow(Base):
    """What was posted to an account within the hour that ended at `until`, in minor units; hours without have no row.

    All hours before the last of an account are summed up: what is not, came later.
    """

    __tablename__ = "payments_ledger_rollup"

    account: Mapped[UUID] = mapped_column(ForeignKey("payments_ledger_account.id"), primary_key=True)
    until: Mapped[datetime] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    debit: Mapped[int]
    credit: Mapped[int]
    count: Mapped[int]

    __table_args__ = (Index("ix_payments_ledger_rollup_until", "until"),)


for _row in (LedgerAccountRow, LedgerTransactionRow, PostingRow, RollUpRow):
    Policy(_row, read=lambda _: has_permission(READ_LEDGER))
