"""What is posted when an operation moves money: a table of pairs, and the one function that writes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context
from corekit.contracts.payments import OperationState, Posting
from corekit.values import Money, typeid, uuid7
from corekit_payments.books import Books
from corekit_payments.ledger.charting import asked, kind_of
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow
from corekit_payments.models import OperationRow
from corekit_payments.transitions import LATE

Unmatched = Literal["unmatched", "unmatched_refund"]
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
    "refund_returned": ("clearing", "payable"),
    "surplus": ("clearing", "suspense"),
    "surplus_refund": ("suspense", "clearing"),
    "dispute_opened": ("disputes", "clearing"),
    "dispute_won": ("clearing", "disputes"),
    "dispute_lost": ("payable", "disputes"),
    "dispute_lost_late": ("payable", "clearing"),
    "surplus_lost": ("suspense", "disputes"),
    "surplus_lost_late": ("suspense", "clearing"),
}


async def post(books: Books, op: OperationRow, before: OperationState | None) -> None:
    """Post what the change of an operation has moved, under its payment's lock; `before` is None for a new one."""
    for kind in _happenings(op, before):
        ours = _ours(books, op, kind)
        await _write(books, op, kind, await asked(books, op, kind) or [ours])


async def post_fee_of(books: Books, op: OperationRow) -> None:
    """Post the fee of what was taken, where it has become known after it."""
    if op.fee and not op.surplus:
        await _write(books, op, "fee", [_ours(books, op, "fee")])


async def post_returned(books: Books, op: OperationRow) -> None:
    """Post that a refund has come back after it had succeeded, so that it is owed again."""
    await _write(books, op, "refund_returned", [_ours(books, op, "refund_returned")])


async def post_unmatched(ctx: Context, provider: str, ref: str, kind: Unmatched, money: Money) -> None:
    """Post money that a provider has moved for nothing of ours, once for the name that it has there."""
    source = f"ext:{provider}:{ref}"
    if await _posted(ctx, source, kind) is not None:
        return
    debit, credit = [f"clearing:{provider}" if name == "clearing" else name for name in PAIRS[kind]]
    await add(ctx, source, kind, None, [Posting(debit=debit, credit=credit, amount=money)], {})


async def is_unmatched(ctx: Context, provider: str, ref: str, kind: Unmatched) -> bool:
    """Tell whether `post_unmatched` has posted something under a name."""
    return await _posted(ctx, f"ext:{provider}:{ref}", kind) is not None


async def reverse_unmatched(ctx: Context, provider: str, ref: str, kind: Unmatched) -> None:
    """Post the opposite of what `post_unmatched` has posted under a name, once, and in the tenant in which it was."""
    source, back = f"ext:{provider}:{ref}", f"{kind}_reversed"
    first = await _posted(ctx, source, kind)
    if first is None or await _posted(ctx, source, back) is not None:
        return
    pairs = (await ctx.session.scalars(select(PostingRow).where(PostingRow.tx == first.id))).all()
    tx = LedgerTransactionRow(
        id=uuid7(), tenant=first.tenant, source=source, kind=back, operation_id=None, created_at=ctx.now()
    )
    ctx.session.add(tx)
    await ctx.session.flush()
    for one in pairs:
        same = {"tenant": one.tenant, "amount": one.amount, "currency": one.currency}
        ctx.session.add(PostingRow(tx=tx.id, n=one.n, debit=one.credit, credit=one.debit, **same))


async def _posted(ctx: Context, source: str, kind: str) -> LedgerTransactionRow | None:
    tx = LedgerTransactionRow
    found: LedgerTransactionRow | None = await ctx.session.scalar(
        select(tx).where(tx.source == source, tx.kind == kind)
    )
    return found


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


def _ours(books: Books, op: OperationRow, kind: str) -> Posting:
    codes = {"clearing": f"clearing:{op.provider}", "payable": payable_of(books)}
    debit, credit = [codes.get(name, name) for name in PAIRS[kind]]
    amount = op.fee if kind == "fee" and op.fee else op.amount
    return Posting(debit=debit, credit=credit, amount=Money(amount, books.payment.currency))


async def _write(books: Books, op: OperationRow, kind: str, pairs: Sequence[Posting]) -> None:
    owners = {payable_of(books): books.payment.payee}
    await add(books.ctx, f"op:{typeid('pop', op.id)}", kind, op.id, pairs, owners)


async def add(
    ctx: Context,
    source: str,
    kind: str,
    operation: UUID | None,
    pairs: Sequence[Posting],
    owners: Mapping[str, UUID | None],
) -> None:
    """Add one happening with its pairs; `owners` says whose an account is."""
    tx = LedgerTransactionRow(
        id=uuid7(), tenant=ctx.tenant, source=source, kind=kind, operation_id=operation, created_at=ctx.now()
    )
    rows = [
        PostingRow(
            tx=tx.id, n=n, tenant=ctx.tenant, debit=account_id(ctx, one.debit, one.amount.currency),
            credit=account_id(ctx, one.credit, one.amount.currency), amount=one.amount.minor,
            currency=one.amount.currency,
        )
        for n, one in enumerate(pairs, 1)
    ]  # fmt: skip
    await _open_accounts(ctx, pairs, owners)
    ctx.session.add(tx)
    await ctx.session.flush()
    ctx.session.add_all(rows)


def payable_of(books: Books) -> str:
    """Name the account of who is paid."""
    return "payable:merchant" if books.payment.payee is None else f"payable:{typeid('usr', books.payment.payee)}"


def account_id(ctx: Context, code: str, currency: str) -> UUID:
    """Return the id of an account of the tenant's, whether it is there or not."""
    return uuid5(_ACCOUNTS, f"{ctx.tenant or ''}/{code}/{currency}")


async def _open_accounts(ctx: Context, pairs: Sequence[Posting], owners: Mapping[str, UUID | None]) -> None:
    """Make the accounts that are posted to for the first time; who makes the same at once waits, and none of two twice.

    They are made in the order of their ids: two who make the same ones in another order would wait for each other.
    """
    known: set[UUID] = ctx.session.info.setdefault("payments_accounts", set())
    wanted = {(code, one.amount.currency) for one in pairs for code in (one.debit, one.credit)}
    rows: list[dict[str, Any]] = [
        {
            "id": account_id(ctx, code, currency), "tenant": ctx.tenant, "code": code, "currency": currency,
            "kind": kind_of(code), "owner": owners.get(code), "created_at": ctx.now(),
        }
        for code, currency in wanted
    ]  # fmt: skip
    new = sorted((row for row in rows if row["id"] not in known), key=lambda row: row["id"])
    if new:
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        await ctx.session.execute(insert(LedgerAccountRow).values(new).on_conflict_do_nothing())
        known.update(row["id"] for row in new)
