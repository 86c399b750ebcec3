"""SQLite's lanes: one writer thread, many items per commit."""

import asyncio
import contextlib
import sqlite3
import threading
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from corekit.data.engines import Database
from corekit.data.lanes.port import MAX_BATCH, QUEUE, Lane, LaneSpec, not_taken
from corekit.data.options import pragmas
from corekit.errors import TooMany, Unavailable
from corekit.watch.logs import get_logger

Item = TypeVar("Item")
Done = TypeVar("Done")
Answer = tuple[Any, Exception | None]


class Unit(NamedTuple):
    """One item on its way, and who waits for it."""

    spec: LaneSpec[Any, Any]
    item: Any
    future: asyncio.Future[Any]


class _HalfWritten(Exception):  # nobody sees it
    """A unit failed after it had written, and no savepoint sets it apart from the others."""


class GroupWriter:
    """Drains what queued while the last commit ran into the next one.

    Its thread holds the writing slot for a batch, commits once, and only then answers: one hop to the event loop for
    all of them. Whoever was answered together mostly writes again together, so items are handed over once per turn of
    the loop: a writer that took the first at once would leave the others to a commit of their own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: SimpleQueue[list[Unit] | None]
        self._gathered: list[Unit] = []
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]
        self._connection: sqlite3.Connection
        self._accepted = 0
        self._closed: str | None = "not started"

    async def start(self) -> None:
        """Open the writer's connection in its thread."""
        self._queue = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        opened = self._loop.create_future()
        threading.Thread(target=self._live, args=(opened,), name="corekit-writer", daemon=True).start()
        await opened
        self._closed = None

    async def stop(self) -> None:
        """Answer every accepted item, then close."""
        self._closed = self._closed or "shutting down"
        self._hand_over()
        self._queue.put(None)
        await self._ended

    async def check(self) -> None:
        """Raise where the thread is gone."""
        if self._closed:
            raise Unavailable(self._closed)

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane of `spec`; all lanes share the one writer."""
        return _SqliteLane(self, self._database, spec)

    def submit(self, spec: LaneSpec[Any, Any], item: Any) -> asyncio.Future[Any]:
        """Queue an item; its result is there after COMMIT."""
        if self._closed:
            raise Unavailable(self._closed)
        if self._accepted >= QUEUE:
            raise TooMany("the write queue is full")
        self._accepted += 1
        future = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(Unit(spec, item, future))
        return future

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        for start in range(0, len(gathered), MAX_BATCH):
            self._queue.put(gathered[start : start + MAX_BATCH])

    def _live(self, opened: asyncio.Future[None]) -> None:
        """Be the thread, from the first statement to the last."""
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            self._loop.call_soon_threadsafe(opened.set_exception, error)
            return
        self._loop.call_soon_threadsafe(opened.set_result, None)
        batch: list[Unit] = []
        try:
            while batch := self._next():
                with self._database.gate.held():
                    self._fill(batch, MAX_BATCH)
                    answers = self._write(batch)
                self._loop.call_soon_threadsafe(self._answer, batch, answers)
        except BaseException as error:  # noqa: BLE001  # whatever ends the thread, somebody waits for it
            self._loop.call_soon_threadsafe(self._die, batch, error)
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database.path, isolation_level=None, cached_statements=512)
        for statement in pragmas(self._database.settings.sqlite):
            connection.execute(statement)
        return connection

    def _next(self) -> list[Unit]:
        return self._queue.get() or []

    def _fill(self, batch: list[Unit], enough: int) -> None:
        """Take what else has queued, without waiting, until the batch is large enough."""
        with contextlib.suppress(Empty):
            while len(batch) < enough:
                units = self._queue.get_nowait()
                if units is None:
                    self._queue.put(None)  # nothing comes after it
                    break
                batch += units

    def _answer(self, batch: list[Unit], answers: list[Answer]) -> None:
        self._accepted -= len(batch)
        for unit, (value, error) in zip(batch, answers, strict=True):
            if unit.future.done():  # cancelled
                continue
            if error is None:
                unit.future.set_result(value)
            else:
                unit.future.set_exception(error)

    def _die(self, batch: list[Unit], error: BaseException) -> None:
        """Leave nobody waiting, and let readiness tell."""
        self._closed = "the writer has died"
        get_logger("corekit.data").error("writer_died", error=f"{type(error).__name__}: {error}")
        self._hand_over()
        self._fill(batch, QUEUE)
        self._answer(batch, [(None, not_taken(error)) for _ in batch])

    def _write(self, batch: list[Unit]) -> list[Answer]:
        """Write all of a batch in one transaction; one after the other where only the commit tells who is to blame."""
        try:
            with contextlib.suppress(_HalfWritten):
                return self._commit(batch, apart=False)
            self._roll_back()
            return self._commit(batch, apart=True)
        except sqlite3.IntegrityError as error:
            self._roll_back()
            if len(batch) == 1:
                return [(None, error)]
            return [self._write([unit])[0] for unit in batch]
        except sqlite3.Error as error:
            self._roll_back()
            return [(None, not_taken(error)) for _ in batch]

    def _commit(self, batch: list[Unit], *, apart: bool) -> list[Answer]:
        """Run a batch in one transaction; savepoints set its units apart, where that was needed."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        answers: list[Answer] = []
        for unit in batch:
            if apart:
                connection.execute("SAVEPOINT unit")
            before = connection.total_changes
            try:
                answers.append((unit.spec.sqlite(connection, unit.item), None))
            except Exception as error:  # the caller's
                if isinstance(error, sqlite3.OperationalError) and not _is_own(error):
                    raise  # disk full, I/O: the whole batch
                if not apart and connection.total_changes != before:
                    raise _HalfWritten from error
                answers.append((None, error))
                if apart:
                    connection.execute("ROLLBACK TO unit")
            if apart:
                connection.execute("RELEASE unit")
        connection.execute("COMMIT")
        return answers

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")


class _SqliteLane:
    def __init__(self, writer: GroupWriter, database: Database, spec: LaneSpec[Any, Any]) -> None:
        self._writer = writer
        self._database = database
        self._spec = spec

    async def append(self, item: Any, /) -> Any:
        self._database.demand_free(f"lane {self._spec.name}")
        done = await self._writer.submit(self._spec, item)
        self._database.wake()
        return done


def _is_own(error: sqlite3.Error) -> bool:
    """Tell a statement that is wrong from a database that cannot write."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF == sqlite3.SQLITE_ERROR
