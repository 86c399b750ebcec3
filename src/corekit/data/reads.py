"""Hot reads: one SELECT, compiled once and run past the ORM, as a transaction of its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_only

from corekit.data import policy_postgresql, policy_sqlite
from corekit.data.policy import Identity

T = TypeVar("T")
Row = tuple[Any, ...]
_Convert = Callable[[Any], Any] | None
_PLAN_OUT_OF_DATE = "0A000"


class Read:
    """A SELECT that is asked very often: `MINE = Read(select(…))`, then `await caller.read(MINE, owner=id)`.

    As policed as any other, for a third of the CPU time of one in a session. Its parameters are `bindparam(name,
    type_=…)`; rows are tuples of what the columns' types make of them, encrypted ones `Sealed` (`caller.reveal`).
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, engine: Engine, identity: Identity, values: Mapping[str, Any]) -> list[Row]:
        """Run it as somebody; called in SQLAlchemy's greenlet."""
        compiled = self._compiled.get(engine.dialect.name)
        if compiled is None:
            compiled = self._compiled[engine.dialect.name] = _Compiled(self._statement, engine.dialect)
        ask = _on_sqlite if engine.dialect.name == "sqlite" else _on_postgresql
        arguments = compiled.arguments(values)
        return compiled.rows(lend(engine, compiled.sql, lambda lent: ask(lent, identity, compiled.sql, arguments)))


def lend(engine: Engine, sql: str, ask: Callable[[PoolProxiedConnection], Awaitable[T]]) -> T:
    """Lend a pool's connection to what talks to the driver itself, and take it back; in SQLAlchemy's greenlet.

    Raises:
        OperationalError: whatever the driver raised. The connection is closed then, as where somebody was cancelled.

    """
    connection = engine.raw_connection()
    try:
        answer: T = await_only(ask(connection))
    except BaseException as error:
        connection.invalidate(error)  # it may be in the middle of the statement
        if not isinstance(error, Exception):
            raise
        raise OperationalError(sql, None, error, connection_invalidated=True) from error
    finally:
        connection.close()
    return answer


class _Compiled:
    """The statement as one database's driver takes it."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._places: list[tuple[str, _Convert]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        self._columns: list[tuple[int, Callable[[Any], Any]]] = []
        for place, column in enumerate(statement.selected_columns):
            convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if convert is not None:
                self._columns.append((place, convert))

    def arguments(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """Put the values in order, with the statement's own."""
        every = {**self._constants, **values}
        return [convert(every[name]) if convert else every[name] for name, convert in self._places]

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Row]:
        """Convert what the driver gave."""
        rows = []
        for values in map(list, found):
            for place, convert in self._columns:
                values[place] = convert(values[place])
            rows.append(tuple(values))
        return rows


async def _on_sqlite(connection: PoolProxiedConnection, identity: Identity, sql: str, arguments: Any) -> Any:
    """Run in one visit to the connection's thread: a statement alone is a transaction."""
    policy_sqlite.identify(connection, identity)
    driver: Any = connection.driver_connection
    return await driver.visit(lambda raw: raw.execute(sql, arguments).fetchall())


async def _on_postgresql(connection: PoolProxiedConnection, identity: Identity, sql: str, arguments: Any) -> Any:
    driver: Any = connection.driver_connection
    opening = policy_postgresql.opening(identity, readonly=True)
    await driver.execute(opening)
    try:
        rows = await driver.fetch(sql, *arguments)
    except Exception as error:
        if getattr(error, "sqlstate", "") != _PLAN_OUT_OF_DATE:
            raise
        await driver.execute(f"ROLLBACK; {opening}")  # a column has changed; the driver prepares it anew
        rows = await driver.fetch(sql, *arguments)
    await driver.execute("COMMIT")
    return rows
