"""Sums by the hour, so that a balance does not read every posting there ever was."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, literal, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from corekit.context import Context
from corekit.data.base import table_of
from corekit.watch import get_logger
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow, RollUpRow

_HOUR = timedelta(hours=1)
_MARGIN = timedelta(minutes=15)  # a transaction that began within an hour has ended by then
_AT_ONCE = 500  # hours that one run sums up
_TX, _POSTING, _SUM = LedgerTransactionRow, PostingRow, RollUpRow


async def roll_up(ctx: Context) -> int:
    """Sum up the hours that have ended since the last time, the oldest first; return how many had postings."""
    return await _fill(ctx, await _until(ctx), _floor(ctx.now() - _MARGIN))


async def recheck(ctx: Context) -> int:
    """Hold the sums against the postings, and build those of an account again that differ; return how many did."""
    wrong = list(await ctx.session.scalars(wrong_sums()))
    last = await _until(ctx)
    for account in wrong:
        await ctx.session.execute(delete(_SUM).where(_SUM.account == account))
        await _fill(ctx, None, last or ctx.now(), account)
    if wrong:
        get_logger("corekit.payments").error("payments_rollups_broken", count=len(wrong))
    return len(wrong)


def summed(side: InstrumentedAttribute[UUID], column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    """Write the sum of one side of an account in a statement over accounts: what was rolled up, and what came since."""
    account = LedgerAccountRow
    rolled = select(func.coalesce(func.sum(column), 0)).where(_SUM.account == account.id)
    return rolled.correlate(account).scalar_subquery() + _posted(side, since=True)


def wrong_sums() -> Select[Any]:
    """Return the accounts whose sums by the hour are not those of their postings until then."""
    account, pairs = LedgerAccountRow, ((_POSTING.debit, _SUM.debit), (_POSTING.credit, _SUM.credit))
    rolled = [
        select(func.coalesce(func.sum(column), 0)).where(_SUM.account == account.id).scalar_subquery()
        for _, column in pairs
    ]
    differ = [sums != _posted(side, since=False) for sums, (side, _) in zip(rolled, pairs, strict=True)]
    return select(account.id).where(_last().is_not(None), or_(*differ))


def _last() -> ColumnElement[datetime]:
    mine = select(func.max(_SUM.until)).where(_SUM.account == LedgerAccountRow.id)
    return mine.correlate(LedgerAccountRow).scalar_subquery()


def _posted(side: InstrumentedAttribute[UUID], *, since: bool) -> ColumnElement[int]:
    """Sum up the postings to one side of an account, since its last sum or until then."""
    last = _last()
    when = or_(last.is_(None), _TX.created_at >= last) if since else _TX.created_at < last
    of_it = select(func.coalesce(func.sum(_POSTING.amount), 0)).select_from(_POSTING).join(_TX, _TX.id == _POSTING.tx)
    return of_it.where(side == LedgerAccountRow.id, when).correlate(LedgerAccountRow).scalar_subquery()


async def _until(ctx: Context) -> datetime | None:
    """Return until when every account is summed up."""
    last: datetime | None = await ctx.session.scalar(select(func.max(_SUM.until)))
    return last


async def _fill(ctx: Context, since: datetime | None, end: datetime, account: UUID | None = None) -> int:
    """Add the sums of each hour with postings between two times, of all accounts or of one."""
    count = 0
    while account is not None or count < _AT_ONCE:
        hour = await _next(ctx, since, end, account)
        if hour is None:
            break
        since = hour + _HOUR
        await _add(ctx, since, account)
        count += 1
    return count


async def _next(ctx: Context, since: datetime | None, end: datetime, account: UUID | None) -> datetime | None:
    """Return the next hour in which something was posted."""
    first = select(func.min(_TX.created_at)).where(_TX.created_at < end)
    if since is not None:
        first = first.where(_TX.created_at >= since)
    if account is not None:
        mine = or_(_POSTING.debit == account, _POSTING.credit == account)
        first = first.join(_POSTING, and_(_POSTING.tx == _TX.id, mine))
    found = await ctx.session.scalar(first)
    return None if found is None else _floor(found)


async def _add(ctx: Context, until: datetime, account: UUID | None) -> None:
    sides = union_all(
        *(
            select(
                side.label("account"), _POSTING.tenant.label("tenant"),
                (_POSTING.amount if side is _POSTING.debit else literal(0)).label("debit"),
                (_POSTING.amount if side is _POSTING.credit else literal(0)).label("credit"),
            )
            .join(_TX, _TX.id == _POSTING.tx)
            .where(_TX.created_at >= until - _HOUR, _TX.created_at < until)
            .where(*([] if account is None else [side == account]))
            for side in (_POSTING.debit, _POSTING.credit)
        )
    ).subquery()  # fmt: skip
    sums = select(
        sides.c.account, literal(until, _SUM.until.type), sides.c.tenant, func.sum(sides.c.debit),
        func.sum(sides.c.credit), func.count(),
    ).group_by(sides.c.account, sides.c.tenant)  # fmt: skip
    await ctx.session.execute(
        insert(table_of(_SUM)).from_select(["account", "until", "tenant", "debit", "credit", "count"], sums)
    )


def _floor(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)
