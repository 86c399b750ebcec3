"""PostgreSQL's lanes: raw asyncpg connections, one transaction per item, replayed when a neighbour was first."""

from typing import Any, TypeVar

import asyncpg

from corekit.data.engines import Database, server_settings
from corekit.data.lanes.port import QUEUE, Lane, LaneSpec
from corekit.errors import TooMany, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")

CONNECTIONS = 2
REPLAYS = 5
_LOST_RACE = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class StatementLanes:
    """A small pool of connections with service rights; an item is committed before its answer."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.waiting = 0
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Open the connections."""
        settings = self.database.settings
        url = (settings.service_url or self.database.url.render_as_string(hide_password=False)).replace("+asyncpg", "")
        self._pool = await asyncpg.create_pool(
            url, min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=server_settings(settings)
        )

    async def stop(self) -> None:
        """Finish what was accepted, then close."""
        if self._pool is not None:
            await self._pool.close()

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane of `spec`."""
        return _PostgresqlLane(self, spec)

    async def run(self, spec: LaneSpec[Any, Any], item: Any) -> Any:
        """Run one item in a transaction of its own; a lost race is run again, at most 5 times."""
        if self._pool is None:
            raise Unavailable("not started")
        if self.waiting >= QUEUE:
            raise TooMany("the write queue is full")
        self.waiting += 1
        try:
            async with self._pool.acquire() as connection:
                for _ in range(REPLAYS):
                    try:
                        async with connection.transaction():
                            return await spec.postgresql(connection, item)
                    except _LOST_RACE:
                        continue
        except (asyncpg.PostgresError, OSError) as error:
            raise Unavailable("the database did not take the write") from error
        finally:
            self.waiting -= 1
        raise Unavailable("too much contention on this row")


class _PostgresqlLane:
    def __init__(self, lanes: StatementLanes, spec: LaneSpec[Any, Any]) -> None:
        self._lanes = lanes
        self._spec = spec

    async def append(self, item: Any, /) -> Any:
        self._lanes.database.demand_free(f"lane {self._spec.name}")
        done = await self._lanes.run(self._spec, item)
        self._lanes.database.wake()
        return done
