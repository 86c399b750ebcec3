"""SQLite's lanes: one writer thread, many items per commit."""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from corekit.data.engines import Database
from corekit.data.lanes.port import QUEUE, Lane, LaneSpec
from corekit.data.options import pragmas
from corekit.errors import TooMany, Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")
Unit = Callable[[sqlite3.Connection], Any]

MAX_BATCH = 256


class GroupWriter:
    """Drains what queued while the last commit ran into the next one.

    A batch holds the writing slot, begins once, gives each unit its own savepoint, commits once, and only then answers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: deque[tuple[Unit, asyncio.Future[Any]]] = deque()
        self._thread: ThreadPoolExecutor
        self._connection: sqlite3.Connection
        self._pump: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> None:
        """Open the writer's connection in its thread."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corekit-writer")
        self._connection = await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)
        self._started = True

    async def stop(self) -> None:
        """Answer every accepted item, then close."""
        self._started = False
        if self._pump is not None:
            await self._pump
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane of `spec`; all lanes share the one writer."""
        return _SqliteLane(self, self._database, spec)

    async def submit(self, unit: Unit) -> Any:
        """Queue a unit; return its result after COMMIT."""
        if not self._started:
            raise Unavailable("shutting down")
        if len(self._queue) >= QUEUE:
            raise TooMany("the write queue is full")
        future = asyncio.get_running_loop().create_future()
        self._queue.append((unit, future))
        if self._pump is None:
            self._pump = asyncio.create_task(self._drain(), name="corekit-group-writer")
        return await future

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database.path, isolation_level=None, cached_statements=512)
        for statement in pragmas(self._database.settings.sqlite):
            connection.execute(statement)
        return connection

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        batch: list[tuple[Unit, asyncio.Future[Any]]] = []
        try:
            while self._queue:
                async with self._database.gate:
                    batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
                    results = await loop.run_in_executor(self._thread, self._run, [unit for unit, _ in batch])
                for (_, future), (value, error) in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_exception(error) if error is not None else future.set_result(value)
        finally:
            self._pump = None
            for _, future in batch:  # only where the pump itself was ended
                if not future.done():
                    future.set_exception(Unavailable("the writer was stopped"))

    def _run(self, units: list[Unit]) -> list[tuple[Any, Exception | None]]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [self._one(connection, unit, alone=len(units) == 1) for unit in units]
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            return [(None, _fault(error)) for _ in units]
        return results

    @staticmethod
    def _one(connection: sqlite3.Connection, unit: Unit, *, alone: bool) -> tuple[Any, Exception | None]:
        """Run one unit so that its failure leaves the others as they are."""
        if not alone:
            connection.execute("SAVEPOINT unit")
        try:
            result = unit(connection)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) and not _is_own(error):
                raise  # disk full, I/O: the whole batch
            connection.execute("ROLLBACK" if alone else "ROLLBACK TO unit")
            if not alone:
                connection.execute("RELEASE unit")
            return None, error
        if not alone:
            connection.execute("RELEASE unit")
        return result, None


class _SqliteLane:
    def __init__(self, writer: GroupWriter, database: Database, spec: LaneSpec[Any, Any]) -> None:
        self._writer = writer
        self._database = database
        self._spec = spec

    async def append(self, item: Any, /) -> Any:
        self._database.demand_free(f"lane {self._spec.name}")
        done = await self._writer.submit(partial(_call, self._spec.sqlite, item))
        self._database.wake()
        return done


def _is_own(error: sqlite3.Error) -> bool:
    """Tell a statement that is wrong from a database that cannot write."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF == sqlite3.SQLITE_ERROR


def _fault(error: sqlite3.Error) -> Unavailable:
    fault = Unavailable("the database did not take the write")
    fault.__cause__ = error
    return fault


def _call(function: Callable[[sqlite3.Connection, Any], Any], item: Any, connection: sqlite3.Connection) -> Any:
    return function(connection, item)
