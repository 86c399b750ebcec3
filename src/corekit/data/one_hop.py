"""SQLite's driver with one hop to its thread per statement, where aiosqlite alone makes four.

BEGIN travels with the first statement, and what must hold for a transaction to count travels with its COMMIT.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import aiosqlite

R = TypeVar("R")
Row = tuple[Any, ...]


class OneHopConnection(aiosqlite.Connection):
    """Runs a statement, fetches its rows and closes its cursor in one visit to the connection's thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy does with a connection of its own making
        self._opening = ""
        self._closing: tuple[str, Sequence[Any], Exception] | None = None
        self._sent = 0
        self._answered = 0

    def begin(self, statement: str) -> None:
        """Begin with the next statement; without one there is no transaction."""
        self._opening = statement

    def demand_at_commit(self, statement: str, parameters: Sequence[Any], otherwise: Exception) -> None:
        """Run this in the visit that commits; unless it changes exactly one row, all is rolled back and this raised."""
        self._closing = (statement, parameters, otherwise)

    def cursor(self) -> Any:
        """Make a cursor; costs nothing until it executes."""
        return OneHopCursor(self)

    async def visit(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Call this in the connection's thread, inside the transaction."""
        opening, self._opening = self._opening, ""

        def run() -> R:
            if opening:
                self._conn.execute(opening)
            return function(self._conn)

        result: R = await self._execute(run)
        return result

    async def commit(self) -> None:
        """Commit, if what was demanded holds."""
        closing, self._closing = self._closing, None
        if closing is not None:
            await self.visit(lambda connection: _demand(connection, *closing))
        elif self._opening:
            self._opening = ""
        else:
            await self._execute(self._conn.commit)

    async def rollback(self) -> None:
        """Roll back, where there may be something to roll back: the pool asks after every commit too."""
        self._opening, self._closing = "", None
        if self._sent != self._answered or self._conn.in_transaction:
            await self._execute(self._conn.rollback)

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Count what has been sent: who is cancelled while a statement runs must not think that nothing is open."""

        def run() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._answered += 1

        self._sent += 1
        return await super()._execute(run)  # type: ignore[no-untyped-call]


class OneHopCursor:
    """A cursor whose rows are here as soon as its statement has run: SQLAlchemy fetches them all in any case."""

    def __init__(self, connection: OneHopConnection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and fetch what it returns."""
        await self._run(lambda cursor: cursor.execute(statement, parameters))

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per set of parameters."""
        await self._run(lambda cursor: cursor.executemany(statement, parameters))

    async def fetchone(self) -> Row | None:
        """Return the next row."""
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next rows."""
        taken, self._rows = self._rows[: size or self.arraysize], self._rows[size or self.arraysize :]
        return taken

    async def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        taken, self._rows = self._rows, []
        return taken

    async def close(self) -> None:
        """Do nothing: the thread has closed its own."""

    async def _run(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
        def run(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                statement(cursor)
                self.description = cursor.description
                self._rows = cursor.fetchall() if cursor.description else []
                self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        await self._connection.visit(run)


class RollingBack(sqlite3.Connection):
    """Rolls back before it closes.

    A cursor that some traceback still holds keeps a closed connection alive, and with it the lock of its transaction:
    nobody could write until the garbage collector came.
    """

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()

    def __del__(self) -> None:
        """Close what nobody was given: who asked for it was cancelled while its thread opened it."""
        with suppress(sqlite3.Error):
            self.close()


def connect(path: str, **options: Any) -> OneHopConnection:
    """Make a connection as `aiosqlite.connect` does."""
    return OneHopConnection(lambda: sqlite3.connect(path, **options))


def _demand(connection: sqlite3.Connection, statement: str, parameters: Sequence[Any], otherwise: Exception) -> None:
    try:
        if connection.execute(statement, parameters).rowcount != 1:
            raise otherwise
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
