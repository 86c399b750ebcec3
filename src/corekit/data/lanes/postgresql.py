"""PostgreSQL's lanes: raw asyncpg connections, one transaction per item, replayed when a neighbour was first."""

import asyncio
from collections.abc import Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import asyncpg

from corekit.data.engines import Database
from corekit.data.lanes.port import QUEUE, Lane, LaneSpec
from corekit.data.options import database_url, libpq_url, server_settings
from corekit.errors import TooMany, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")

CONNECTIONS = 2
REPLAYS = 5
_LOST_RACE = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_OUT_OF_ORDER = (  # the database is, not the item
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    OSError,
)


class StatementLanes:
    """A small pool of connections with service rights, used by items of different keys at once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._accepted = 0
        self._answered = asyncio.Event()
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Open the connections."""
        settings = self.database.settings
        url = database_url(settings.service_url) if settings.service_url else self.database.url
        self._pool = await asyncpg.create_pool(
            libpq_url(url), min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=server_settings(settings)
        )

    async def stop(self) -> None:
        """Finish what was accepted, then close."""
        pool, self._pool = self._pool, None
        while self._accepted:
            self._answered.clear()
            await self._answered.wait()
        if pool is not None:
            await pool.close()

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane of `spec`."""
        return _PostgresqlLane(self, spec)

    async def run(self, spec: LaneSpec[Any, Any], item: Any) -> Any:
        """Run one item in a transaction of its own; a lost race is run again, at most 5 times."""
        pool = self._pool
        if pool is None:
            raise Unavailable("shutting down")
        if self._accepted >= QUEUE:
            raise TooMany("the write queue is full")
        self._accepted += 1
        try:
            async with self._turn(spec, item):
                return await _append(pool, spec, item)
        finally:
            self._accepted -= 1
            self._answered.set()

    def _turn(self, spec: LaneSpec[Any, Any], item: Any) -> asyncio.Lock:
        """Let items of one key follow each other: first come, first served, and no waiting for one's own row lock."""
        key = (spec.name, spec.key(item) if spec.key else None)
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock


async def _append(pool: asyncpg.Pool, spec: LaneSpec[Any, Any], item: Any) -> Any:
    try:
        async with pool.acquire() as connection:
            for _ in range(REPLAYS):
                try:
                    async with connection.transaction():
                        return await spec.postgresql(connection, item)
                except _LOST_RACE:
                    continue
    except _OUT_OF_ORDER as error:
        raise Unavailable("the database did not take the write") from error
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
