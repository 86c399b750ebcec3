"""The relay: moves outbox rows into the job engine, one job per listener of an event, in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Executable, bindparam, delete, exists, func, or_, select

from corekit.context import Context
from corekit.data.base import Instant, table_of
from corekit.data.outbox import ListenerRow, OutboxRow
from corekit.jobs.engine import PATIENCE, Job, JobEngine
from corekit.jobs.listeners import Listeners
from corekit.jobs.marks import Handlers
from corekit.values import uuid7

BATCH = 500
TABLE = table_of(OutboxRow)


class Relay:
    """Neither loses nor doubles: deleting the row and inserting its jobs commit together."""

    def __init__(self, handlers: Handlers, engine: JobEngine, listeners: Listeners, known: frozenset[str]) -> None:
        self._handlers = handlers
        self._engine = engine
        self._listeners = listeners
        self._known = known
        # Built once: building a statement costs more than running it.
        early = TABLE.c.created_at < bindparam("patience", type_=Instant())
        mine = or_(TABLE.c.tag.in_(sorted(known)), TABLE.c.tag.in_(select(ListenerRow.tag)), early)
        self._waiting = select(exists(select(1).where(mine)))
        oldest = (
            select(TABLE.c.id)
            .where(mine)
            .order_by(TABLE.c.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
            .cte("oldest")  # never a sub-select: PostgreSQL may run one again and take more than the limit
        )
        self._take = delete(TABLE).where(TABLE.c.id.in_(select(oldest.c.id))).returning(TABLE)

    async def waiting(self, ctx: Context) -> bool:
        """Tell whether there is anything to move: reads only."""
        return bool((await self._run(ctx, self._waiting)).scalar())

    async def move(self, ctx: Context) -> int:
        """Move one batch, oldest first; return how many rows it had."""
        rows: Sequence[Any] = (await self._run(ctx, self._take)).all()
        # Read after the rows were taken: who listened before they were committed is in it.
        listeners = await self._listeners.by_tag(ctx) if any(row.kind == "event" for row in rows) else {}
        jobs = [job for row in sorted(rows, key=lambda row: row.id) for job in self._jobs(row, listeners)]
        await self._engine.put(ctx, jobs)
        return len(rows)

    @staticmethod
    async def _run(ctx: Context, statement: Executable) -> CursorResult[Any]:
        return await (await ctx.session.connection()).execute(statement, {"patience": ctx.now() - PATIENCE})

    def _jobs(self, row: Any, listeners: Mapping[str, list[str]]) -> Iterator[Job]:
        if row.kind == "event":
            names = listeners.get(row.tag, [])
        else:
            names = [handler.listener] if (handler := self._handlers.jobs.get(row.tag)) else []
        unknown = not names and row.tag not in self._known
        for name in ["unknown"] if unknown else names:
            yield Job(
                id=uuid7(),
                tag=row.tag,
                listener=name,
                payload=row.payload,
                key=None if row.key is None else f"{row.tag}:{row.key}",
                priority=row.priority,
                run_after=row.run_after or row.created_at,
                origin=row.id,
                tenant=row.tenant,
                actor=row.actor,
                trace=row.trace,
                created_at=row.created_at,
                state="buried" if unknown else "queued",
                last_error="no process knows this tag" if unknown else None,
            )


async def unfinished(ctx: Context, engine: JobEngine, until: datetime) -> int:
    """Count outbox rows and jobs that run or are due; in one statement, or one that moves between could be missed."""
    rows = select(func.count()).select_from(TABLE).scalar_subquery()
    return int(await ctx.session.scalar(select(rows + engine.unfinished(until))) or 0)
