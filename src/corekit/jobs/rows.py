"""The job engine `rows`: leased rows in `corekit_job`, the same on SQLite and PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Delete,
    ScalarSelect,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from corekit.context import Context
from corekit.data.base import Id, Instant, table_of
from corekit.data.outbox import JobRow
from corekit.jobs.engine import PATIENCE, SUSPECT, Job, LostLease, Waiting, Which

TABLE = table_of(JobRow)
COLUMNS = [TABLE.c[field.name] for field in fields(Job)]
_FINISH = "DELETE FROM corekit_job WHERE id = ? AND owner = ? AND attempts = ?"
_FINISH_POSTGRESQL = "DELETE FROM corekit_job WHERE id = $1 AND owner = $2 AND attempts = $3"
_FIRST = (TABLE.c.priority, TABLE.c.run_after, TABLE.c.id)


class Rows:
    """Claims, renews, finishes and buries jobs; `owner` is this worker, `listeners` are those it has code for."""

    def __init__(self, owner: UUID, lease: float, listeners: Collection[str]) -> None:
        self._owner = owner
        self._lease = timedelta(seconds=lease)
        mine = or_(TABLE.c.listener.in_(sorted(listeners)), TABLE.c.run_after < bindparam("patience", type_=Instant()))
        now = bindparam("now", type_=Instant())
        held = TABLE.c.id.not_in(bindparam("held", type_=Id(), expanding=True))  # not taken over from oneself
        expired = and_(_is("leased"), TABLE.c.lease_until < now, held, mine)
        queued = and_(_is("queued"), TABLE.c.run_after <= now, mine)
        suspects = and_(expired, TABLE.c.attempts >= SUSPECT)
        expired = and_(expired, TABLE.c.attempts < SUSPECT)
        # Built once: building a statement costs more than running it.
        self._waiting = select(*(exists(select(1).where(which)) for which in (queued, expired, suspects)))
        self._claim = {
            "queued": self._lease_of(queued),
            "expired": self._lease_of(expired),
            "suspects": self._lease_of(suspects),
        }
        self._finish = delete(TABLE).where(
            TABLE.c.id == bindparam("job"), TABLE.c.owner == owner, TABLE.c.attempts == bindparam("attempt")
        )

    async def waiting(self, ctx: Context, held: Collection[Job] = ()) -> Waiting:
        """Look at the queue: reads only."""
        row = (await (await ctx.session.connection()).execute(self._waiting, self._now(ctx, held))).one()
        return Waiting(*map(bool, row))

    async def put(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """Add jobs; one whose key is open already is dropped."""
        connection = await ctx.session.connection()
        if plain := [_row(job) for job in jobs if job.key is None]:
            await connection.execute(insert(TABLE), plain)
        if keyed := [_row(job) for job in jobs if job.key is not None]:
            dialect_insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
            await connection.execute(dialect_insert(TABLE).on_conflict_do_nothing(), keyed)

    async def claim(self, ctx: Context, limit: int, waiting: Waiting, held: Collection[Job] = ()) -> list[Job]:
        """Lease due jobs, the expired first; an attempt counts from here, so a job that kills its worker counts too."""
        if waiting.suspects:
            return await self._lease_some(ctx, "suspects", 1, held)
        taken = await self._lease_some(ctx, "expired", limit, held) if waiting.expired else []
        return taken + (await self._lease_some(ctx, "queued", limit - len(taken), held) if len(taken) < limit else [])

    async def _lease_some(self, ctx: Context, which: str, limit: int, held: Collection[Job]) -> list[Job]:
        parameters = self._now(ctx, held) | {"limit": limit, "until": ctx.now() + self._lease}
        rows = (await (await ctx.session.connection()).execute(self._claim[which], parameters)).all()
        return sorted((_job(row) for row in rows), key=lambda job: (-job.priority, job.run_after, job.id))

    def _lease_of(self, which: ColumnElement[bool]) -> ReturningUpdate[Any]:
        due = _locked(select(TABLE.c.id).where(which).order_by(*_FIRST).limit(bindparam("limit", type_=BigInteger())))
        until, attempts = bindparam("until", type_=Instant()), TABLE.c.attempts + 1
        leased = update(TABLE).where(TABLE.c.id.in_(select(due.c.id)))
        return leased.values(state="leased", owner=self._owner, lease_until=until, attempts=attempts).returning(
            *COLUMNS
        )

    @staticmethod
    def _now(ctx: Context, held: Collection[Job]) -> dict[str, Any]:
        return {"now": ctx.now(), "patience": ctx.now() - PATIENCE, "held": [job.id for job in held]}

    async def renew(self, ctx: Context, jobs: Collection[Job]) -> None:
        """Push leases on, but for rows that a finishing transaction holds at this moment."""
        mine = select(TABLE.c.id).where(TABLE.c.id.in_([job.id for job in jobs]), TABLE.c.owner == self._owner)
        renewed = update(TABLE).where(TABLE.c.id.in_(select(_locked(mine).c.id)))
        await (await ctx.session.connection()).execute(renewed.values(lease_until=ctx.now() + self._lease))

    async def finish(self, ctx: Context, job: Job) -> None:
        """Delete a job in the transaction of its own effects: who lost the lease cannot commit them."""
        dialect = ctx.kit.database.dialect

        def finish(session: Session) -> int:
            connection = session.connection()
            if dialect == "postgresql":
                return connection.exec_driver_sql(_FINISH_POSTGRESQL, (job.id, self._owner, job.attempts)).rowcount
            driver: Any = connection.connection.driver_connection
            driver.demand_at_commit(_FINISH, (job.id.bytes, self._owner.bytes, job.attempts), LostLease())
            return 1

        if await ctx.session.run_sync(finish) != 1:
            raise LostLease

    async def finish_all(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """Delete jobs that had no effects."""
        if jobs:
            parameters = [{"job": job.id, "attempt": job.attempts} for job in jobs]
            await (await ctx.session.connection()).execute(self._finish, parameters)

    async def again(self, ctx: Context, job: Job, run_after: datetime, error: str) -> None:
        """Queue a failed job for another attempt."""
        await self._change(ctx, job, {"state": "queued", "run_after": run_after, "last_error": error})

    async def bury(self, ctx: Context, job: Job, error: str) -> None:
        """Keep a job that will not be run again, with what went wrong."""
        await self._change(ctx, job, {"state": "buried", "last_error": error})

    async def release(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """Give jobs back unrun; the attempt does not count."""
        for job in jobs:
            await self._change(ctx, job, {"state": "queued", "attempts": job.attempts - 1})

    def unfinished(self, until: datetime) -> ScalarSelect[int]:
        """Count, as a part of a statement, the jobs that run or are due until then."""
        due = or_(_is("leased"), and_(_is("queued"), TABLE.c.run_after <= until))
        return select(func.count()).select_from(TABLE).where(due).scalar_subquery()

    async def find(self, ctx: Context, which: Which) -> list[Job]:
        """List jobs, the newest first."""
        chosen = select(*COLUMNS).where(*_meant(which)).order_by(TABLE.c.id.desc()).limit(which.limit)
        return [_job(row) for row in (await (await ctx.session.connection()).execute(chosen)).all()]

    async def retry(self, ctx: Context, which: Which) -> int:
        """Queue buried jobs anew, with all their attempts; not one whose key is open."""
        other = TABLE.alias()
        twin = exists(select(1).where(other.c.key == TABLE.c.key, other.c.state != "buried"))
        earlier = exists(
            select(1).where(other.c.key == TABLE.c.key, other.c.state == "buried", other.c.id < TABLE.c.id)
        )
        again = update(TABLE).values(state="queued", attempts=0, run_after=ctx.now())
        return await self._on(ctx, again, which, TABLE.c.state == "buried", ~twin, ~earlier)

    async def bury_queued(self, ctx: Context, which: Which) -> int:
        """Bury queued jobs."""
        buried = update(TABLE).values(state="buried", last_error="buried by an operator")
        return await self._on(ctx, buried, which, TABLE.c.state == "queued")

    async def drop(self, ctx: Context, which: Which) -> int:
        """Delete queued and buried jobs for good."""
        return await self._on(ctx, delete(TABLE), which, TABLE.c.state != "leased")

    async def _on(self, ctx: Context, change: Update | Delete, which: Which, *also: ColumnElement[bool]) -> int:
        chosen = select(TABLE.c.id).where(*_meant(which), *also).order_by(TABLE.c.id).limit(which.limit)
        changed = change.where(TABLE.c.id.in_(select(_locked(chosen).c.id))).returning(TABLE.c.id)
        return len((await (await ctx.session.connection()).execute(changed)).all())

    async def _change(self, ctx: Context, job: Job, values: Mapping[str, Any]) -> None:
        mine = update(TABLE).where(TABLE.c.id == job.id, TABLE.c.owner == self._owner, TABLE.c.attempts == job.attempts)
        await (await ctx.session.connection()).execute(mine.values(owner=None, lease_until=None, **values))


def _locked(chosen: Select[tuple[UUID]]) -> CTE:
    """Lock what is chosen; never in a plain sub-select: PostgreSQL may run one again, and take more than its limit."""
    return chosen.with_for_update(skip_locked=True).cte("chosen")


def _row(job: Job) -> dict[str, Any]:
    return {column.name: getattr(job, column.name) for column in COLUMNS} | {"priority": -job.priority}


def _job(row: Any) -> Job:
    return replace(Job(*row), priority=-row.priority)


def _meant(which: Which) -> list[ColumnElement[bool]]:
    """Say in SQL which jobs an operator means."""
    return [
        *([TABLE.c.id.in_(which.ids)] if which.ids else []),
        *([TABLE.c.state.in_(which.states)] if which.states else []),
        *([TABLE.c.listener == which.listener] if which.listener else []),
    ]


def _is(state: str) -> ColumnElement[bool]:
    """Name a state literally, as the partial indexes do."""
    return TABLE.c.state == literal(state, literal_execute=True)
