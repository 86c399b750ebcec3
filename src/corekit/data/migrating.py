"""Migrating alone: a connection of its own, and a lock that keeps every other migration out."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from corekit.data.engines import Database
from corekit.data.one_hop import RollingBack
from corekit.data.options import database_url, pragmas, server_settings
from corekit.errors import SchemaError

PATIENCE = 600.0  # seconds that a migration waits for another one to end
_LOCK = 0x636F72656B6974  # "corekit": the advisory lock around a run
_ONE_AT_A_TIME = Lock()  # Alembic keeps the run that is going on in variables of its modules, so this is one too


@asynccontextmanager
async def alone(database: Database) -> AsyncGenerator[AsyncConnection]:
    """Open the connection that may change the schema, while nobody else does, in this process or in another.

    On SQLite everything until the end is one transaction; on PostgreSQL the lock belongs to the session, so that each
    revision is a transaction of its own and an index can be made outside of any.

    Raises:
        SchemaError: another migration went on for too long.

    """
    async with _alone_in_process():
        engine = _postgresql(database) if database.dialect == "postgresql" else _sqlite(database)
        try:
            async with engine.connect() as connection:
                if database.dialect == "postgresql":
                    await _lock(connection)
                    yield connection
                    return
                async with database.gate, connection.begin():
                    yield connection
                    await _demand_whole(connection)
        finally:
            await engine.dispose()


@contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """Begin and commit on PostgreSQL; on SQLite the run is the transaction."""
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.commit()  # ends what an earlier read began
    with connection.begin():
        yield


@asynccontextmanager
async def _alone_in_process() -> AsyncGenerator[None]:
    """Keep other kits of this process out, whichever loop they run in."""
    while not _ONE_AT_A_TIME.acquire(blocking=False):  # noqa: ASYNC110  # an asyncio lock belongs to one loop
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


async def _lock(connection: AsyncConnection) -> None:
    """Take the advisory lock; whoever waits in a statement would block `CREATE INDEX CONCURRENTLY`, so this asks."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
        await connection.rollback()
        if loop.time() > end:
            raise SchemaError(f"another migration has been running for {PATIENCE:.0f} s; is it stuck?")
        await asyncio.sleep(0.1)
    await connection.rollback()


async def _demand_whole(connection: AsyncConnection) -> None:
    """Look for rows that point nowhere: foreign keys are not enforced while tables are rebuilt."""
    if not await connection.scalar(text("SELECT total_changes()")):
        return
    broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
    if broken:
        tables = ", ".join(sorted({str(row[0]) for row in broken}))
        raise SchemaError(f"the migration would leave rows of {tables} that point nowhere; nothing was changed")


def _postgresql(database: Database) -> AsyncEngine:
    settings = database.settings
    waits = server_settings(settings) | {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
    # A plan that was kept from before a revision does not fit the table after it.
    arguments = {"server_settings": waits, "statement_cache_size": 0, "prepared_statement_cache_size": 0}
    url = database_url(settings.owner_url) if settings.owner_url else database.url
    return create_async_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def _sqlite(database: Database) -> AsyncEngine:
    engine = create_async_engine(
        database.url, poolclass=NullPool, hide_parameters=True, connect_args={"factory": RollingBack}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        waits = f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}"  # first, for what the others wait for
        # A table is rebuilt by dropping it, which would delete the rows that refer to it: so no foreign keys.
        for statement in (waits, *pragmas(database.settings.sqlite), waits, "PRAGMA foreign_keys=OFF"):
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    return engine
