"""Who listens, as the database knows it: a process without a plugin hands events on to its listeners all the same."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from corekit.context import Context, Kit
from corekit.data.base import table_of
from corekit.data.outbox import ListenerRow
from corekit.jobs.marks import Handlers
from corekit.jobs.runner import system

TABLE = table_of(ListenerRow)
REFRESH = timedelta(minutes=10)
RENAMED = timedelta(hours=1)  # its plugin has been seen since, without it: it is gone from the code
ABSENT = timedelta(days=7)  # nobody has started its plugin for so long


class Listeners:
    """Records the listeners of this process, and reads those of all."""

    def __init__(self, handlers: Handlers) -> None:
        self._mine = {
            (tag, handler.listener): handler.listener.partition(".")[0]
            for tag, many in handlers.listeners.items()
            for handler in many
        }
        self._recorded: datetime | None = None

    def is_stale(self, now: datetime) -> bool:
        """Tell whether it is time to record again."""
        return self._recorded is None or now - self._recorded >= REFRESH

    async def announce(self, kit: Kit) -> None:
        """Record them before anything happens that they would have to hear of."""
        if self._mine:
            async with system(kit).begin() as ctx:
                await self.record(ctx)

    async def record(self, ctx: Context) -> None:
        """Say that they are here, and forget those that nobody has named for a week."""
        self._recorded = now = ctx.now()
        connection = await ctx.session.connection()
        if self._mine:
            dialect_insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
            statement = dialect_insert(TABLE)
            here = [
                {"tag": tag, "listener": listener, "plugin": plugin, "seen_at": now}
                for (tag, listener), plugin in sorted(self._mine.items())  # in one order: two starts do not deadlock
            ]
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tag", "listener"], set_={"seen_at": statement.excluded.seen_at}
                ),
                here,
            )
        await connection.execute(delete(TABLE).where(TABLE.c.seen_at < now - ABSENT))

    async def by_tag(self, ctx: Context) -> Mapping[str, list[str]]:
        """Return the names of an event's listeners, those of this process included."""
        rows = (await (await ctx.session.connection()).execute(select(TABLE))).all()
        seen: dict[str, datetime] = {}
        for row in rows:
            seen[row.plugin] = max(seen.get(row.plugin, row.seen_at), row.seen_at)
        found: dict[str, list[str]] = {}
        for tag, listener in self._mine:
            found.setdefault(tag, []).append(listener)
        for row in rows:
            if (row.tag, row.listener) not in self._mine and row.seen_at > seen[row.plugin] - RENAMED:
                found.setdefault(row.tag, []).append(row.listener)
        return found
