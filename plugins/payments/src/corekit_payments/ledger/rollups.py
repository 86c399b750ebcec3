"""Sums by the hour, so that a balance does not read every posting there ever was."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, literal, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from corekit.context import Context
from corekit.data.base import table_of
from corekit.watch import get_logger
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow, RollUpRow

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MARGIN = timedelta(minutes=15)  # a transaction that began within an hour has ended by then
_AT_ONCE = 500  # hours that one run sums up
_TX, _POSTING, _SUM = LedgerTransactionRow, PostingRow, RollUpRow


async def roll_up(ctx: Context) -> int:
    """Sum up the hours that have ended since the last time, the oldest first; return how many had postings."""
    return await _fill(ctx, await rolled_until(ctx), _floor(ctx.now() - _MARGIN))


async def recheck(ctx: Context) -> int:
    """Hold the sums against the postings, and build those of an account again that differ; return how many did.

    No statement reads more than the postings of a day.
    """
    last, wrong = await rolled_until(ctx), await wrong_sums(ctx)
    for account in wrong:
        await ctx.session.execute(delete(_SUM).where(_SUM.account == account))
        await _fill(ctx, None, last or ctx.now(), account)
    if wrong:
        get_logger("corekit.payments").error("payments_rollups_broken", count=len(wrong))
    return len(wrong)


async def rolled_until(ctx: Context) -> datetime | None:
    """Return until when every account is summed up."""
    last: datetime | None = await ctx.session.scalar(select(func.max(_SUM.until)))
    return last


def summed(
    side: InstrumentedAttribute[UUID], column: InstrumentedAttribute[int], until: datetime | None
) -> ColumnElement[int]:
    """Write the sum of one side of an account in a statement over accounts: what was rolled up, and what came since.

    `until` is `rolled_until`, a plain value, so that the index on the time of a transaction can be used; what is rolled
    up meanwhile does not count.
    """
    account = LedgerAccountRow
    posted = select(func.coalesce(func.sum(_POSTING.amount), 0)).select_from(_POSTING).join(_TX, _TX.id == _POSTING.tx)
    posted = posted.where(side == account.id)
    if until is None:
        return posted.correlate(account).scalar_subquery()
    rolled = select(func.coalesce(func.sum(column), 0)).where(_SUM.account == account.id, _SUM.until <= until)
    since = posted.where(_TX.created_at >= until)
    return rolled.correlate(account).scalar_subquery() + since.correlate(account).scalar_subquery()


async def wrong_sums(ctx: Context) -> set[UUID]:
    """Return the accounts whose sums by the hour are not those of their postings until then, read a day at a time."""
    last, wrong, since = await rolled_until(ctx), set[UUID](), None
    while last is not None and (begin := await _next_day(ctx, since, last)) is not None:
        since = min(begin + _DAY, last)
        wrong |= set(await ctx.session.scalars(_differing(begin, since)))
    return wrong


async def _next_day(ctx: Context, since: datetime | None, last: datetime) -> datetime | None:
    """Return the next time at which there are postings or sums to compare."""
    sums = select(func.min(_SUM.until)).where(*([] if since is None else [_SUM.until > since]))
    posted, summed_ = await _next(ctx, since, last, None), await ctx.session.scalar(sums)
    found = [one for one in (posted, None if summed_ is None else _floor(summed_ - _HOUR)) if one is not None]
    if not found:
        return None
    return min(found) if since is None else max(since, min(found))


def _differing(begin: datetime, end: datetime) -> Select[Any]:
    sums = select(
        _SUM.account.label("account"), _SUM.tenant.label("tenant"), (-_SUM.debit).label("debit"),
        (-_SUM.credit).label("credit"),
    ).where(_SUM.until > begin, _SUM.until <= end)  # fmt: skip
    both = union_all(sums, *_sides(begin, end, None)).subquery()
    differs = or_(func.sum(both.c.debit) != 0, func.sum(both.c.credit) != 0)
    return select(both.c.account).group_by(both.c.account).having(differs)


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


def _sides(begin: datetime, end: datetime, account: UUID | None) -> Iterator[Select[UUID, UUID | None, int, int]]:
    """Read what was posted to each side of accounts, or of one, between two times."""
    for side in (_POSTING.debit, _POSTING.credit):
        posted = select(
            side.label("account"), _POSTING.tenant.label("tenant"),
            (_POSTING.amount if side is _POSTING.debit else literal(0)).label("debit"),
            (_POSTING.amount if side is _POSTING.credit else literal(0)).label("credit"),
        ).join(_TX, _TX.id == _POSTING.tx)  # fmt: skip
        posted = posted.where(_TX.created_at >= begin, _TX.created_at < end)
        yield posted if account is None else posted.where(side == account)


async def _add(ctx: Context, until: datetime, account: UUID | None) -> None:
    sides = union_all(*_sides(until - _HOUR, until, account)).subquery()
    sums = select(
        sides.c.account, literal(until, _SUM.until.type), sides.c.tenant, func.sum(sides.c.debit),
        func.sum(sides.c.credit), func.count(),
    ).group_by(sides.c.account, sides.c.tenant)  # fmt: skip
    await ctx.session.execute(
        insert(table_of(_SUM)).from_select(["account", "until", "tenant", "debit", "credit", "count"], sums)
    )


def _floor(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)
