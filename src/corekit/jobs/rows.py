"""The job engine `rows`: leased rows in `corekit_job`, the same on SQLite and PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from corekit.context import Context
from corekit.data.outbox import JobRow, OutboxRow

PATIENCE = timedelta(hours=24)  # how long what nobody here knows waits for a process that does

_DUE_FIRST = (JobRow.priority.desc(), JobRow.run_after, JobRow.id)


class LostLease(Exception):  # a state of the world, seen by the worker alone
    """Somebody else has taken this job over: whatever was done in this transaction must not commit."""


class Rows:
    """Claims, renews, finishes and buries jobs; `owner` is this worker, `listeners` are those it has code for."""

    def __init__(self, owner: UUID, lease: float, listeners: Collection[str]) -> None:
        self._owner = owner
        self._lease = timedelta(seconds=lease)
        self._listeners = sorted(listeners)

    async def waiting(self, ctx: Context) -> bool:
        """Tell whether a job is due: reads only."""
        return bool(await ctx.session.scalar(select(exists(select(JobRow.id).where(self._mine(ctx.now()))))))

    async def put(self, ctx: Context, jobs: Sequence[dict[str, Any]]) -> None:
        """Add jobs; one whose key is open already is dropped."""
        if not jobs:
            return
        keyed = [job for job in jobs if job["key"] is not None]
        plain = [job for job in jobs if job["key"] is None]
        if plain:
            await ctx.session.execute(insert(JobRow), plain)
        if keyed:
            dialect_insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
            await ctx.session.execute(dialect_insert(JobRow).on_conflict_do_nothing(), keyed)

    async def claim(self, ctx: Context, limit: int) -> list[JobRow]:
        """Lease up to `limit` due jobs; an attempt counts from here, so a job that kills its worker is buried too."""
        due = (
            select(JobRow.id)
            .where(self._mine(ctx.now()))
            .order_by(*_DUE_FIRST)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")  # never a sub-select: PostgreSQL may run one again and take more than the limit
        )
        leased = (
            update(JobRow)
            .where(JobRow.id.in_(select(due.c.id)))
            .values(
                state="leased", owner=self._owner, lease_until=ctx.now() + self._lease, attempts=JobRow.attempts + 1
            )
            .returning(JobRow)
            .execution_options(synchronize_session=False)
        )
        return list((await ctx.session.scalars(leased)).all())

    async def renew(self, ctx: Context, jobs: Sequence[JobRow]) -> None:
        """Push the leases of running jobs on."""
        mine = update(JobRow).where(JobRow.id.in_([job.id for job in jobs]), JobRow.owner == self._owner)
        await ctx.session.execute(mine.values(lease_until=ctx.now() + self._lease))

    async def finish(self, ctx: Context, job: JobRow) -> None:
        """Delete a job in the transaction of its own effects.

        Raises:
            LostLease: the lease has passed to somebody else.

        """
        result = await ctx.session.execute(
            delete(JobRow)
            .where(JobRow.id == job.id, JobRow.owner == self._owner, JobRow.attempts == job.attempts)
            .execution_options(synchronize_session=False)
        )
        if not isinstance(result, CursorResult) or result.rowcount != 1:
            raise LostLease

    async def again(self, ctx: Context, job: JobRow, run_after: datetime, error: str | None) -> None:
        """Queue a failed job for another attempt."""
        await self._change(
            ctx, job, state="queued", run_after=run_after, owner=None, lease_until=None, last_error=error
        )

    async def bury(self, ctx: Context, job: JobRow, error: str) -> None:
        """Keep a job that will not be run again, with what went wrong."""
        await self._change(ctx, job, state="buried", owner=None, lease_until=None, last_error=error)

    async def release(self, ctx: Context, job: JobRow) -> None:
        """Give a job back unrun; the attempt does not count."""
        await self._change(ctx, job, state="queued", owner=None, lease_until=None, attempts=job.attempts - 1)

    def _mine(self, now: datetime) -> ColumnElement[bool]:
        return and_(is_due(now), or_(JobRow.listener.in_(self._listeners), JobRow.run_after < now - PATIENCE))

    async def _change(self, ctx: Context, job: JobRow, **values: Any) -> None:
        mine = update(JobRow).where(JobRow.id == job.id, JobRow.owner == self._owner, JobRow.attempts == job.attempts)
        await ctx.session.execute(mine.values(**values).execution_options(synchronize_session=False))


async def unfinished(ctx: Context, until: datetime) -> int:
    """Count outbox rows and jobs that run or are due; in one statement, or one that moves between could be missed."""
    rows = select(func.count(OutboxRow.id)).scalar_subquery()
    jobs = select(func.count(JobRow.id)).where(or_(JobRow.state == "leased", is_due(until))).scalar_subquery()
    return int(await ctx.session.scalar(select(rows + jobs)) or 0)


def is_due(now: datetime) -> ColumnElement[bool]:
    """Say in SQL which jobs may be run at this time: their hour has come, or their worker's lease is over."""
    return or_(
        and_(JobRow.state == "queued", JobRow.run_after <= now),
        and_(JobRow.state == "leased", JobRow.lease_until < now),
    )
