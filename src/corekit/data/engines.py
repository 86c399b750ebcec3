"""Connections: what a unit of work borrows, from which pool, and SQLite's single writing slot."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import await_only

from corekit.errors import ConfigError, InsideContext
from corekit.settings import Settings
from corekit.watch.logs import get_logger

Rights = Literal["app", "service"]
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class SqliteSettings(Settings, frozen=True):
    """`[database] sqlite`: durability and pool size."""

    synchronous: Literal["full", "normal"] = "full"
    readers: int = 4


class DatabaseSettings(Settings, frozen=True):
    """`[database]`: where the data lives; without `url`, one SQLite file in the data directory."""

    url: str = ""
    owner_url: str = ""
    service_url: str = ""
    direct_url: str = ""
    schema: str = "public"
    pool: int = 10
    writer_hold_warn_ms: int = 500
    sqlite: SqliteSettings = SqliteSettings()


class Work:
    """One transaction's hold on the database: nothing is borrowed until its session runs a statement."""

    def __init__(self, database: "Database", engine: AsyncEngine, *, readonly: bool) -> None:
        self.readonly = readonly
        self.wakes = False
        self._database = database
        self._engine = engine
        self._session: AsyncSession | None = None
        self._held_since: float | None = None

    @property
    def session(self) -> AsyncSession:
        """The ORM session; its first statement borrows a connection and begins the transaction."""
        if self._session is None:
            self._session = AsyncSession(self._engine.execution_options(corekit_work=self), expire_on_commit=False)
        return self._session

    async def commit(self) -> None:
        """Flush and commit; whoever waits for new outbox rows is woken after it."""
        try:
            if self._session is not None:
                await self._session.commit()
        finally:
            await self.close()
        if self.wakes:
            self._database.wake()

    async def close(self) -> None:
        """Give everything back; what was not committed is rolled back."""
        try:
            if self._session is not None:
                await self._session.close()
        finally:
            self._release()

    def take_slot(self) -> None:
        """Wait for SQLite's writing slot; runs in SQLAlchemy's greenlet, before BEGIN IMMEDIATE."""
        if self._held_since is None:
            await_only(self._database.gate.acquire())
            self._held_since = time.monotonic()

    def _release(self) -> None:
        if self._held_since is None:
            return
        held = (time.monotonic() - self._held_since) * 1000
        self._held_since = None
        self._database.gate.release()
        if held > self._database.settings.writer_hold_warn_ms:
            get_logger("corekit.data").warning("writer_slot_held_long", duration_ms=round(held))


class Database:
    """The pools of one kit, and the record of which task holds a context."""

    def __init__(self, settings: DatabaseSettings, data_dir: Path) -> None:
        self.settings = settings
        self.data_dir = data_dir
        self.url = _normalise(settings.url or f"sqlite:///{data_dir / 'corekit.db'}")
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"
        )
        self.gate = asyncio.Lock()  # SQLite's writing slot: first come, first served
        self._engines: dict[tuple[Rights, bool], AsyncEngine] = {}
        self._holders: dict[asyncio.Task[Any] | None, int] = {}
        self._wakers: list[Callable[[], None]] = []

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    async def start(self) -> None:
        """Make the pools; a connection is opened when it is needed."""
        if self.dialect == "sqlite":
            _prepare_file(self.path)
        for rights in ("app", "service"):
            for readonly in (False, True):
                self._engines[rights, readonly] = self._make_engine(rights, readonly=readonly)

    async def __aenter__(self) -> Self:
        """Start, for a command that needs the database alone."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def stop(self) -> None:
        """Close all pools."""
        for engine in set(self._engines.values()):
            await engine.dispose()
        self._engines.clear()

    def work(self, rights: Rights = "app", *, readonly: bool = False) -> Work:
        """Open a unit of work; it costs nothing until its first statement."""
        return Work(self, self._engines[rights, readonly], readonly=readonly)

    def engine(self, rights: Rights = "service") -> AsyncEngine:
        """Return a writing engine, for migrations."""
        return self._engines[rights, False]

    def enter(self, *, readonly: bool) -> Callable[[], None]:
        """Note that this task holds a context; return the function that notes its end.

        Raises:
            InsideContext: a writing context inside another of the same task.

        """
        task = asyncio.current_task()
        if not readonly:
            self.demand_free("a writing context")
        self._holders[task] = self._holders.get(task, 0) + 1

        def leave() -> None:
            self._holders[task] -= 1
            if not self._holders[task]:
                del self._holders[task]

        return leave

    def demand_free(self, what: str) -> None:
        """Refuse where this task holds a context: it would wait for its own writing slot or pin a connection.

        Raises:
            InsideContext: naming what was tried.

        """
        if asyncio.current_task() in self._holders:
            raise InsideContext(f"{what} cannot be opened while this task holds a context; close that one first")

    def on_wake(self, waker: Callable[[], None]) -> None:
        """Call `waker` after each commit of this process that left rows in the outbox."""
        self._wakers.append(waker)

    def wake(self) -> None:
        """Tell that the outbox has new rows."""
        for waker in self._wakers:
            waker()

    def _make_engine(self, rights: Rights, *, readonly: bool) -> AsyncEngine:
        if self.dialect == "postgresql":
            return self._postgresql(rights, readonly=readonly)
        size = self.settings.sqlite.readers if readonly and rights == "app" else 1
        engine = create_async_engine(self.url, pool_size=size, max_overflow=0, pool_timeout=30)

        @event.listens_for(engine.sync_engine, "connect")
        def connect(connection: Any, _: object) -> None:
            connection.isolation_level = None  # corekit says BEGIN itself
            for statement in pragmas(self.settings.sqlite, readonly=readonly):
                cursor = connection.cursor()
                cursor.execute(statement)
                cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            work = connection.get_execution_options().get("corekit_work")
            if work is not None and not readonly:
                work.take_slot()
            connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

        return engine

    def _postgresql(self, rights: Rights, *, readonly: bool) -> AsyncEngine:
        if readonly:
            return self._engines[rights, False].execution_options(postgresql_readonly=True)
        url = _normalise(self.settings.service_url) if rights == "service" and self.settings.service_url else self.url
        return create_async_engine(
            url,
            pool_size=self.settings.pool if rights == "app" else 4,
            max_overflow=0,
            pool_timeout=5,
            connect_args={"server_settings": server_settings(self.settings)},
        )


def pragmas(settings: SqliteSettings, *, readonly: bool = False) -> list[str]:
    """List what every SQLite connection is told first."""
    statements = [
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={settings.synchronous.upper()}",
        "PRAGMA foreign_keys=ON",
        "PRAGMA recursive_triggers=ON",
        "PRAGMA busy_timeout=5000",
        "PRAGMA trusted_schema=OFF",
        "PRAGMA temp_store=MEMORY",
        "PRAGMA cache_size=-65536",
        "PRAGMA wal_autocheckpoint=1000",
        f"PRAGMA journal_size_limit={64 << 20}",
    ]
    return [*statements, "PRAGMA query_only=ON"] if readonly else statements


def server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """List what every PostgreSQL connection is told first."""
    return {
        "application_name": "corekit",
        "search_path": settings.schema,
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        "synchronous_commit": "on",
    }


def _normalise(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("[database] url is not a database URL: sqlite:///PATH or postgresql://…") from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise ConfigError(f"[database] url: {parsed.get_backend_name()!r} is not supported; use sqlite or postgresql")
    if driver.startswith("sqlite") and parsed.database in {None, "", ":memory:"}:
        raise ConfigError("[database] url: SQLite needs a file; in memory, connections would share uncommitted rows")
    return parsed.set(drivername=driver)


def _prepare_file(path: Path) -> None:
    """Create the file and its folder, readable by the owner alone; SQLite gives -wal and -shm the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        sqlite3.connect(path).close()
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}") from None
