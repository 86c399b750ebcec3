"""What is posted when an operation moves money: a table of pairs, and the one function that writes them."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context
from corekit.contracts.payments import OperationState
from corekit.values import Money, typeid, uuid7
from corekit_payments.books import Books
from corekit_payments.ledger.rows import AccountKind, LedgerAccountRow, LedgerTransactionRow, PostingRow
from corekit_payments.models import OperationRow
from corekit_payments.transitions import LATE

_ACCOUNTS = UUID("5d0e2d5c-6f5e-5f0c-9f0e-6c1f3f1f7a10")  # the name space of account ids (RFC 9562 §5.5)

# What happened: from which account to which. `clearing` is what the provider owes us, `payable` what we owe the payee,
# `refunds` what is promised to payers, `suspense` money that nobody is owed yet, `disputes` what the provider has taken
# back until a bank has decided.
PAIRS: Mapping[str, tuple[str, str]] = {
    "capture": ("clearing", "payable"),
    "fee": ("payable", "clearing"),
    "unmatched": ("clearing", "suspense"),
    "unmatched_refund": ("suspense", "clearing"),
    "refund_created": ("payable", "refunds"),
    "refund_done": ("refunds", "clearing"),
    "refund_failed": ("refunds", "payable"),
    "refund_late": ("payable", "clearing"),
    "surplus": ("clearing", "suspense"),
    "surplus_refund": ("suspense", "clearing"),
    "dispute_opened": ("disputes", "clearing"),
    "dispute_won": ("clearing", "disputes"),
    "dispute_lost": ("payable", "disputes"),
    "dispute_lost_late": ("payable", "clearing"),
    "surplus_lost": ("suspense", "disputes"),
    "surplus_lost_late": ("suspense", "clearing"),
}
_KINDS: Mapping[str, AccountKind] = {
    "clearing": "asset",
    "payable": "liability",
    "refunds": "liability",
    "suspense": "liability",
    "disputes": "asset",
}


async def post(books: Books, op: OperationRow, before: OperationState | None) -> None:
    """Post what the change of an operation has moved, under its payment's lock; `before` is None for a new one."""
    for kind in _happenings(op, before):
        await _write(books, op, kind, op.fee if kind == "fee" and op.fee else op.amount)


async def post_unmatched(
    ctx: Context, provider: str, ref: str, kind: Literal["unmatched", "unmatched_refund"], money: Money
) -> None:
    """Post money that a provider has moved for nothing of ours, once for the name that it has there."""
    source = f"ext:{provider}:{ref}"
    tx = LedgerTransactionRow
    if await ctx.session.scalar(select(tx.id).where(tx.source == source, tx.kind == kind)) is not None:
        return
    debit, credit = [
        await _account(ctx, f"clearing:{provider}" if name == "clearing" else name, money.currency)
        for name in PAIRS[kind]
    ]
    await _pair(ctx, source, kind, None, (debit, credit), money)


def _happenings(op: OperationRow, before: OperationState | None) -> Iterator[str]:
    if op.kind == "capture" and op.state == "succeeded" != before:
        yield "surplus" if op.surplus else "capture"
        if op.fee and not op.surplus:
            yield "fee"
    elif op.kind == "refund":
        yield from _of_refund(op, before)
    elif op.kind == "dispute":
        yield from _of_dispute(op, before)


def _of_refund(op: OperationRow, before: OperationState | None) -> Iterator[str]:
    """Follow the promise: it is made at the beginning, then kept or taken back; kept late, it is paid all the same."""
    promised = op.of is None
    if before is None:
        if promised:
            yield "refund_created"
    elif op.state == before:
        return
    elif op.state == "succeeded":
        if promised and before not in LATE:
            yield "refund_failed" if op.surplus else "refund_done"
        if op.surplus:
            yield "surplus_refund"
        elif before in LATE:
            yield "refund_late"
    elif op.state in LATE and before not in LATE and promised:
        yield "refund_failed"


def _of_dispute(op: OperationRow, before: OperationState | None) -> Iterator[str]:
    """Follow the money: the provider takes it at once and brings it back where the dispute is won."""
    if before is None:
        yield "dispute_opened"
    elif op.state == before:
        return
    elif op.state == "succeeded":
        yield f"{'surplus' if op.surplus else 'dispute'}_lost{'_late' if before in LATE else ''}"
    elif op.state in LATE and before not in LATE:
        yield "dispute_won"


async def _write(books: Books, op: OperationRow, kind: str, amount: int) -> None:
    ctx, payment = books.ctx, books.payment
    payee = "merchant" if payment.payee is None else typeid("usr", payment.payee)
    codes = {"clearing": f"clearing:{op.provider}", "payable": f"payable:{payee}"}
    debit, credit = [
        await _account(ctx, codes.get(name, name), payment.currency, payment.payee if name == "payable" else None)
        for name in PAIRS[kind]
    ]
    money = Money(amount, payment.currency)
    await _pair(ctx, f"op:{typeid('pop', op.id)}", kind, op.id, (debit, credit), money)


async def _pair(
    ctx: Context, source: str, kind: str, operation: UUID | None, accounts: tuple[UUID, UUID], money: Money
) -> None:
    """Add one happening with its pair: from the account that is debited to the one that is credited."""
    tx = LedgerTransactionRow(
        id=uuid7(), tenant=ctx.tenant, source=source, kind=kind, operation_id=operation, created_at=ctx.now()
    )
    ctx.session.add(tx)
    await ctx.session.flush()
    debit, credit = accounts
    pair = PostingRow(
        tx=tx.id, n=1, tenant=ctx.tenant, debit=debit, credit=credit, amount=money.minor, currency=money.currency
    )
    ctx.session.add(pair)


async def _account(ctx: Context, code: str, currency: str, owner: UUID | None = None) -> UUID:
    """Return the account of a code, made when it is first needed; two who make it at once make the same."""
    id_ = uuid5(_ACCOUNTS, f"{ctx.tenant or ''}/{code}/{currency}")
    known: set[Any] = ctx.session.info.setdefault("payments_accounts", set())
    if id_ not in known:
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        kind = _KINDS.get(code.partition(":")[0], "liability")
        values = {"id": id_, "tenant": ctx.tenant, "code": code, "currency": currency, "kind": kind}
        made = insert(LedgerAccountRow).values(owner=owner, created_at=ctx.now(), **values).on_conflict_do_nothing()
        await ctx.session.execute(made)
        known.add(id_)
    return id_
