"""PostgreSQL's lanes: micro-batches on a raw asyncpg connection; what queued while one ran is the next."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

import asyncpg

from corekit.data.engines import Database
from corekit.data.lanes.port import MAX_BATCH, QUEUE, Lane, LaneSpec, not_taken
from corekit.data.options import database_url, libpq_url, server_settings
from corekit.errors import TooMany, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")
Spec = LaneSpec[Any, Any]
Entry = tuple[Any, asyncio.Future[Any]]

REPLAYS = 5
# A lane's statement reaches every row by an index. Planned for its values it would be planned at each run, which takes
# longer than the run itself; planned while a table was empty it would read all of it for ever.
# And whoever waits for a row that somebody holds keeps all the others waiting.
SESSION = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "lock_timeout": "2s"}
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


class MicroBatches:
    """One connection with service rights and one batch in flight; the lanes that queue behind it take turns.

    More connections were slower: senders that are answered together come again together and share the next commit.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._waiting: dict[Spec, list[Entry]] = {}
        self._accepted = 0
        self._closed: str | None = "not started"
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the connection."""
        await self._connected()
        self._closed = None

    async def stop(self) -> None:
        """Finish what was accepted, then close."""
        self._closed = "shutting down"
        if self._pump is not None:
            await self._pump
        if self._connection is not None:
            await self._connection.close()

    async def check(self) -> None:
        """Raise where nothing is taken; a lost connection is opened again by the next item."""
        if self._closed:
            raise Unavailable(self._closed)

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane of `spec`."""
        return _PostgresqlLane(self, spec)

    def submit(self, spec: Spec, item: Any) -> asyncio.Future[Any]:
        """Queue an item; its result is there after COMMIT."""
        if self._closed:
            raise Unavailable(self._closed)
        if self._accepted >= QUEUE:
            raise TooMany("the write queue is full")
        self._accepted += 1
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._answered)
        self._waiting.setdefault(spec, []).append((item, future))
        if self._pump is None:
            self._pump = asyncio.create_task(self._drain(), name="corekit-micro-batch")
        return future

    def _answered(self, _: object) -> None:
        self._accepted -= 1

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return the connection, opened again if it was lost."""
        if self._connection is None or self._connection.is_closed():
            settings = self.database.settings
            url = database_url(settings.service_url) if settings.service_url else self.database.url
            self._connection = await asyncpg.connect(
                libpq_url(url), timeout=5, server_settings=server_settings(settings) | SESSION
            )
        return self._connection

    async def _drain(self) -> None:
        batch: list[Entry] = []
        try:
            while self._waiting:
                spec = next(iter(self._waiting))
                queue = self._waiting.pop(spec)
                batch, rest = queue[:MAX_BATCH], queue[MAX_BATCH:]
                if rest:
                    self._waiting[spec] = rest
                for part in _repeats_apart(spec, batch):
                    await self._write(spec, part)
        finally:
            self._pump = None
            for entry in (*batch, *(entry for queue in self._waiting.values() for entry in queue)):
                _fail(entry, Unavailable("the writer was stopped"))  # only where the pump itself was ended
            self._waiting.clear()

    async def _write(self, spec: Spec, batch: list[Entry], replays: int = REPLAYS) -> None:
        """Write a batch in one transaction and answer it."""
        try:
            rows = await _run(await self._connected(), spec, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # each of them gets an answer
            await self._replay(spec, batch, error, replays - 1)
            return
        for place, entry in enumerate(batch, 1):
            _answer(spec, entry, rows.get(place))

    async def _replay(self, spec: Spec, batch: list[Entry], error: Exception, replays: int) -> None:
        """Run what was rolled back in smaller parts, so that whoever is to blame is alone; nothing was committed."""
        keys = _by_key(spec, batch)
        if isinstance(error, asyncpg.LockNotAvailableError) and len(keys) > 1:
            for part in keys:
                await self._write(spec, part)
        elif isinstance(error, _OUT_OF_ORDER):
            for entry in batch:
                _fail(entry, not_taken(error))
        elif len(batch) > 1:
            for entry in batch:
                await self._write(spec, [entry])
        elif not isinstance(error, _LOST_RACE):
            _fail(batch[0], error)
        elif replays:
            await self._write(spec, batch, replays)
        else:
            _fail(batch[0], Unavailable("too much contention on this row"))


async def _run(connection: "asyncpg.Connection[asyncpg.Record]", spec: Spec, items: list[Any]) -> dict[int, Any]:
    """Run the statement in one round trip: it is committed before its rows are returned. They are found by place."""
    batch = spec.postgresql
    columns = [list(column) for column in zip(*(batch.columns(item) for item in items), strict=True)]
    if not batch.locks:
        return {row[0]: row for row in await connection.fetch(batch.statement, *columns)}
    locks = [] if spec.key is None else list({spec.key(item) for item in items})
    nothing: list[list[Any]] = [[] for _ in columns]
    # The driver sends both runs at once, and what is sent at once is one transaction.
    runs = [(*nothing, locks), (*columns, [])]
    return {row[0]: row for row in await connection.fetchmany(batch.statement, runs)}


def _repeats_apart(spec: Spec, batch: list[Entry]) -> Iterable[list[Entry]]:
    """Let repeats run after what they repeat; among each other they only read."""
    seen: set[Hashable] = set()
    first: list[Entry] = []
    repeats: list[Entry] = []
    for entry in batch:
        once = spec.postgresql.once(entry[0])
        (repeats if once in seen else first).append(entry)
        seen.add(once)
    return (first, repeats) if repeats else (first,)


def _by_key(spec: Spec, batch: list[Entry]) -> list[list[Entry]]:
    found: dict[Hashable, list[Entry]] = {}
    for entry in batch:
        found.setdefault(spec.key and spec.key(entry[0]), []).append(entry)
    return list(found.values())


def _answer(spec: Spec, entry: Entry, row: Any) -> None:
    item, future = entry
    try:
        if row is None:
            raise LookupError(f"lane {spec.name}: the statement has no row for an item")
        done = spec.postgresql.answer(item, row)
    except Exception as error:  # noqa: BLE001  # the item's own
        _fail(entry, error)
    else:
        if not future.done():
            future.set_result(done)


def _fail(entry: Entry, error: Exception) -> None:
    if not entry[1].done():
        entry[1].set_exception(error)


class _PostgresqlLane:
    def __init__(self, lanes: MicroBatches, spec: Spec) -> None:
        self._lanes = lanes
        self._spec = spec

    async def append(self, item: Any, /) -> Any:
        self._lanes.database.demand_free(f"lane {self._spec.name}")
        done = await self._lanes.submit(self._spec, item)
        self._lanes.database.wake()
        return done
