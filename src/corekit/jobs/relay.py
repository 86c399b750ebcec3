"""The relay: moves outbox rows into the job engine, one job per listener of an event, in one transaction."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select

from corekit.context import Context
from corekit.data.outbox import OutboxRow
from corekit.jobs.marks import Handlers
from corekit.jobs.rows import PATIENCE, Rows
from corekit.values import uuid7

BATCH = 500


class Relay:
    """Neither loses nor doubles: deleting the row and inserting its jobs commit together."""

    def __init__(self, handlers: Handlers, engine: Rows, known: frozenset[str]) -> None:
        self._handlers = handlers
        self._engine = engine
        self._known = known

    async def waiting(self, ctx: Context) -> bool:
        """Tell whether there is anything to move: reads only."""
        return bool(await ctx.session.scalar(select(exists(select(OutboxRow.id).where(self._mine(ctx))))))

    async def move(self, ctx: Context) -> int:
        """Move one batch, oldest first; return how many rows it had."""
        oldest = (
            select(OutboxRow.id)
            .where(self._mine(ctx))
            .order_by(OutboxRow.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
            .cte("oldest")  # never a sub-select: PostgreSQL may run one again and take more than the limit
        )
        taken = (
            delete(OutboxRow)
            .where(OutboxRow.id.in_(select(oldest.c.id)))
            .returning(OutboxRow)
            .execution_options(synchronize_session=False)
        )
        rows: Sequence[OutboxRow] = (await ctx.session.scalars(taken)).all()
        jobs = [job for row in sorted(rows, key=lambda row: row.id) for job in self._jobs(row)]
        await self._engine.put(ctx, jobs)
        return len(rows)

    def _mine(self, ctx: Context) -> ColumnElement[bool]:
        return or_(OutboxRow.tag.in_(self._known), OutboxRow.created_at < ctx.now() - PATIENCE)

    def _jobs(self, row: OutboxRow) -> Iterator[dict[str, Any]]:
        if row.kind == "event":
            names = [handler.listener for handler in self._handlers.listeners.get(row.tag, [])]
        else:
            names = [handler.listener] if (handler := self._handlers.jobs.get(row.tag)) else []
        state = "queued"
        if row.tag not in self._known:
            names, state = ["unknown"], "buried"
        for name in names:
            yield {
                "id": uuid7(),
                "tag": row.tag,
                "listener": name,
                "payload": row.payload,
                "key": None if row.key is None else f"{row.tag}:{row.key}",
                "priority": row.priority,
                "run_after": row.run_after or row.created_at,
                "state": state,
                "attempts": 0,
                "last_error": None if state == "queued" else "no process knows this tag",
                "tenant": row.tenant,
                "actor": row.actor,
                "trace": row.trace,
                "created_at": row.created_at,
            }
