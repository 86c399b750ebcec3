"""One account of the ledger, as who may read the ledger sees it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import aliased

from corekit.context import Context
from corekit.errors import NotFound
from corekit.values import Money, Page, decode_cursor, encode_cursor, typeid
from corekit_payments.ledger.reading import Balance, balances
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow


class LedgerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which postings of an account, the newest first; all currencies unless one is named."""

    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}(?!\n)$")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class LedgerPosting(msgspec.Struct, frozen=True, kw_only=True):
    """A balanced pair: `amount` from the account `debit` to the account `credit`; `kind` is what happened."""

    kind: str
    debit: str
    credit: str
    amount: Money
    operation: str | None
    created_at: datetime


class LedgerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account: its sums in each currency, whatever is asked for, and a page of what is posted to it."""

    code: str
    balances: list[Balance]
    postings: Page[LedgerPosting]


async def account(ctx: Context, code: str, query: LedgerQuery) -> LedgerAccount:
    """Return an account of the tenant's that the actor may see (NotFound)."""
    sums = [one for one in await balances(ctx, code) if query.currency in {None, one.currency}]
    if not sums:
        raise NotFound
    return LedgerAccount(code=code, balances=sums, postings=await _postings(ctx, code, query))


async def _postings(ctx: Context, code: str, query: LedgerQuery) -> Page[LedgerPosting]:
    tx, pair, debit, credit = LedgerTransactionRow, PostingRow, aliased(LedgerAccountRow), aliased(LedgerAccountRow)
    mine = select(LedgerAccountRow.id).where(
        LedgerAccountRow.tenant.is_not_distinct_from(ctx.tenant), LedgerAccountRow.code == code
    )
    ids = list(await ctx.session.scalars(mine))
    chosen = (
        select(pair, tx, debit.code, credit.code)
        .join(tx, tx.id == pair.tx)
        .join(debit, debit.id == pair.debit)
        .join(credit, credit.id == pair.credit)
        .where(or_(pair.debit.in_(ids), pair.credit.in_(ids)))
        .order_by(tx.id.desc(), pair.n)
        .limit(query.limit + 1)
    )
    if query.currency is not None:
        chosen = chosen.where(pair.currency == query.currency)
    if query.cursor is not None:
        last, n = decode_cursor(query.cursor, tuple[UUID, int], pointer="/cursor")
        chosen = chosen.where(or_(tx.id < last, and_(tx.id == last, pair.n > n)))
    rows = (await ctx.session.execute(chosen)).all()
    shown = rows[: query.limit]
    more = encode_cursor(str(shown[-1][0].tx), shown[-1][0].n) if len(rows) > query.limit else None
    return Page([_posting(*row) for row in shown], more)


def _posting(pair: PostingRow, tx: LedgerTransactionRow, debit: str, credit: str) -> LedgerPosting:
    return LedgerPosting(
        kind=tx.kind, debit=debit, credit=credit, amount=Money(pair.amount, pair.currency),
        operation=None if tx.operation_id is None else typeid("pop", tx.operation_id), created_at=tx.created_at,
    )  # fmt: skip
