"""Connections: what a unit of work borrows, from which pool, and SQLite's single writing slot."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn

from corekit.data import pools
from corekit.data.crypto.columns import KEYS, Keys
from corekit.data.ending import to_the_end
from corekit.data.options import DatabaseSettings, database_url, prepare_file
from corekit.data.policy import Identity, Policy
from corekit.data.reads import Read, Row, lend
from corekit.data.slot import HoldLimit, WritingSlot
from corekit.errors import InsideContext, PluginError, ReadonlyContext
from corekit.watch.logs import get_logger

T = TypeVar("T")
Rights = Literal["app", "service"]


class Work:
    """One transaction's hold on the database: nothing is borrowed until its session runs a statement."""

    def __init__(
        self,
        database: "Database",
        engine: AsyncEngine,
        *,
        readonly: bool,
        identity: Identity | None = None,
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.readonly = readonly
        self.identity = identity
        self.wakes = False
        self._database = database
        self._engine = engine
        self._session: AsyncSession | None = None
        self._held_since: float | None = None
        self._limit = HoldLimit(task or asyncio.current_task(), database.settings.writer_hold_max_ms / 1000)
        self._over = False

    @property
    def session(self) -> AsyncSession:
        """The ORM session; its first statement borrows a connection and begins the transaction."""
        if self._over:
            raise InsideContext("this context is over; what runs after it opens one of its own")
        if self._session is None:
            engine = self._engine.execution_options(corekit_work=self)
            # A session that outlives its context must not begin again: it would keep the writing slot for ever.
            self._session = AsyncSession(
                engine, expire_on_commit=False, close_resets_only=False, info=self._database.carried
            )
        return self._session

    @property
    def untouched(self) -> bool:
        """Whether there is no transaction to end: nothing was read or written, and nothing is about to be."""
        return self._session is None or not self._session.in_transaction()

    async def commit(self) -> None:
        """Flush and commit; whoever waits for new outbox rows is woken after it.

        Raises:
            ReadonlyContext: this is readonly, and something was added, changed or deleted all the same.

        """
        self._limit.demand()
        self._limit.end()
        try:
            if self._session is not None:
                if self.readonly:
                    self._demand_unchanged(self._session)
                else:
                    await self._session.commit()
        finally:
            await self.close()
        if self.wakes:
            self._database.wake()

    @staticmethod
    def _demand_unchanged(session: AsyncSession) -> None:
        if changed := [*session.new, *session.dirty, *session.deleted]:
            names = ", ".join(sorted({type(row).__name__ for row in changed}))
            raise ReadonlyContext(f"{names} was written in a readonly context; open a writing one")

    async def close(self) -> None:
        """Give everything back; what was not committed is rolled back.

        Raises:
            Unavailable: the task was cancelled because it held SQLite's writing slot for too long.

        """
        self._over = True
        session, self._session = self._session, None
        try:
            if session is not None and session.in_transaction():
                await to_the_end(session.close())  # a torn rollback would cost the pool a connection
            elif session is not None:
                session.sync_session.close()  # there is nothing to wait for
        finally:
            self._release()
        self._limit.demand()

    def take_slot(self) -> None:
        """Wait for SQLite's writing slot; runs in SQLAlchemy's greenlet, before BEGIN IMMEDIATE."""
        if self._held_since is None:
            await_only(self._database.gate.acquire())
            self._held_since = time.monotonic()
            self._limit.begin()

    def _release(self) -> None:
        if self._held_since is None:
            return
        held = (time.monotonic() - self._held_since) * 1000
        self._held_since = None
        self._limit.end()
        self._database.gate.release()
        if held > self._database.settings.writer_hold_warn_ms:
            get_logger("corekit.data").warning("writer_slot_held_long", duration_ms=round(held))


class Database:
    """The pools of one kit, and the record of which task holds a context."""

    def __init__(self, settings: DatabaseSettings, data_dir: Path) -> None:
        self.settings = settings
        self.data_dir = data_dir
        self.url = database_url(settings.url or f"sqlite:///{data_dir / 'corekit.db'}")
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"
        )
        self.gate = WritingSlot()
        self.policies: list[Policy] = []
        self._engines: dict[tuple[Rights, bool], AsyncEngine] = {}
        self._holders: dict[asyncio.Task[Any] | None, int] = {}
        self._wakers: list[Callable[[], None]] = []
        self.carried: dict[str, Any] = {}  # by each session, in its `info`: what opens encrypted columns

    @property
    def keys(self) -> Keys:
        """What opens encrypted columns."""
        keys: Keys = self.carried[KEYS]
        return keys

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    async def start(self) -> None:
        """Make the pools; a connection is opened when it is needed."""
        self.gate = WritingSlot()  # the last start may have ended in the middle of something
        if self.dialect == "sqlite":
            prepare_file(self.path)
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

    def work(
        self,
        rights: Rights = "app",
        *,
        readonly: bool = False,
        identity: Identity | None = None,
        task: asyncio.Task[Any] | None = None,
    ) -> Work:
        """Open a unit of work; it costs nothing until its first statement. What `app` may do, the policies say.

        `task` (this one, unless told otherwise) is cancelled where the work holds SQLite's writing slot for too long.
        """
        engine = self._pool(rights, readonly=readonly)
        return Work(self, engine, readonly=readonly, identity=identity, task=task)

    async def read(self, read: Read, values: Mapping[str, Any], *, identity: Identity, rights: Rights) -> list[Row]:
        """Run a hot read as somebody."""
        return await greenlet_spawn(read.run, self._pool(rights, readonly=True).sync_engine, identity, values)

    async def lend(self, sql: str, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Lend a connection with service rights to what talks to the driver itself; `sql` is for errors."""
        self.demand_free("a statement of its own")
        return await greenlet_spawn(lend, self.engine().sync_engine, sql, ask)

    def engine(self, rights: Rights = "service") -> AsyncEngine:
        """Return a writing engine."""
        return self._engines[rights, False]

    def enter(self, *, readonly: bool, task: asyncio.Task[Any] | None = None) -> Callable[[], None]:
        """Note that a task (this one, unless told otherwise) holds a context; return what notes its end.

        Raises:
            InsideContext: a writing context inside another of the same task.

        """
        task = task or asyncio.current_task()
        if not readonly:
            self.demand_free("a writing context", task)
        self._holders[task] = self._holders.get(task, 0) + 1

        def leave() -> None:
            self._holders[task] -= 1
            if not self._holders[task]:
                del self._holders[task]

        return leave

    def demand_free(self, what: str, task: asyncio.Task[Any] | None = None) -> None:
        """Refuse where this task holds a context: it would wait for its own writing slot or pin a connection.

        Raises:
            InsideContext: naming what was tried.

        """
        if (task or asyncio.current_task()) in self._holders:
            raise InsideContext(f"{what} cannot be opened while this task holds a context; close that one first")

    def on_wake(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Call `waker` after each commit of this process that left rows in the outbox; return what ends that."""
        self._wakers.append(waker)
        return lambda: self._wakers.remove(waker)

    def wake(self) -> None:
        """Tell that the outbox has new rows."""
        for waker in self._wakers:
            waker()

    def _pool(self, rights: Rights, *, readonly: bool) -> AsyncEngine:
        if not self._engines:
            raise PluginError("the kit is not started: use `async with kit`, or give its lifespan to the application")
        return self._engines[rights, readonly]

    def _make_engine(self, rights: Rights, *, readonly: bool) -> AsyncEngine:
        if self.dialect == "sqlite":
            return pools.sqlite(self.url, self.settings, self.policies, policed=rights == "app", readonly=readonly)
        if readonly:
            engine = self._engines[rights, False]
            return engine if rights == "app" else engine.execution_options(postgresql_readonly=True)
        return pools.postgresql(self.url, self.settings, policed=rights == "app")
