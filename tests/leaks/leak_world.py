"""Two people with rows of their own in one database, and the judge: whether a probe saw or changed the other's."""

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

from asyncpg import PostgresError
from leak_tables import NoteRow, Own, RoomRow, SeatRow, TopicRow
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from corekit import Actor, Corekit
from corekit.context import NOBODY, Caller, Context
from corekit.data import DatabaseSettings
from corekit.data.migrating import alone
from corekit.data.outbox import JobRow, OutboxRow
from corekit.data.policy import policies
from corekit.plugin import Plugin
from corekit.settings import Config, Settings

ALICE, BOB, WARDEN = Actor("alice"), Actor("bob"), Actor("warden", roles=frozenset({"warden"}))
HERE, THERE = UUID(int=0xA), UUID(int=0xB)  # tenants
SECRET = "the secret of another"  # in every row that Alice must not see
MINE, HIS, ELSEWHERE = UUID(int=1), UUID(int=2), UUID(int=3)  # rooms, each with the note of the same id

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROOMS = ((MINE, HERE, ALICE.id, "mine"), (HIS, HERE, BOB.id, SECRET), (ELSEWHERE, THERE, ALICE.id, SECRET))
REFUSED = (SQLAlchemyError, PostgresError, sqlite3.Error)  # a driver's own cursor raises the driver's own errors

Probe = Callable[[Context, "World"], Awaitable[Any]]


class LeakPlugin(Plugin[Settings]):
    """Owns the tables."""

    name = "leak"
    purposes = {"leak.look": "Probes look at what others may see, before they try as themselves."}


@dataclass
class World:
    """The kit, and what belongs to somebody else."""

    kit: Corekit

    @property
    def sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.kit.database.dialect == "sqlite"

    def caller(self, actor: Actor, tenant: UUID | None = HERE) -> Caller:
        """Act as somebody."""
        return replace(self.kit.caller(actor), tenant=tenant)

    async def reset(self) -> None:
        """Put everything back, Alice's own rows too: a probe without them would prove nothing."""
        async with AsyncSession(self.kit.database.engine("service")) as session, session.begin():
            for row in (NoteRow, SeatRow, RoomRow, TopicRow, OutboxRow, JobRow):
                await session.execute(delete(row))
            session.add_all([TopicRow(id=1, name="one"), TopicRow(id=2, name="two"), *_deferred()])
            for room, tenant, owner, said in ROOMS:
                session.add(RoomRow(id=room, tenant=tenant, owner=owner, title=said))
                await session.flush()
                session.add(SeatRow(room_id=room, usr=owner, tenant=tenant, role="member"))
                session.add(NoteRow(id=room, tenant=tenant, room_id=room, author=owner, topic=2, body=said))

    async def foreign(self) -> list[tuple[Any, ...]]:
        """Read with service rights every row that is not Alice's."""
        async with AsyncSession(self.kit.database.engine("service")) as session:
            return await _foreign(session)

    async def leak(self, probe: Probe, actor: Actor = ALICE, *, readonly: bool = False) -> str | None:
        """Run a probe; say what it saw (it returns only what is not Alice's) or what it changed."""
        await self.reset()
        before = await self.foreign()
        try:
            async with self.caller(actor).begin(readonly=readonly) as ctx:
                seen = await probe(ctx, self)
        except REFUSED:
            seen = None
        if seen:
            return f"{probe.__name__} saw {seen!r}"
        if (after := await self.foreign()) != before:
            return f"{probe.__name__} changed {set(after) ^ set(before)}"
        return None

    async def works(self, probe: Probe) -> bool:
        """Tell whether a probe would see or change something if nothing held it back."""
        await self.reset()
        before = await self.foreign()
        try:
            async with self.caller(NOBODY).system("leak.look").begin() as ctx:
                seen = await probe(ctx, self)
                await ctx.session.flush()
                raise _Over(bool(seen) or await _foreign(ctx.session) != before)
        except _Over as over:
            return bool(over.args[0])
        except REFUSED:
            return False


class _Over(Exception):  # it takes everything back
    """Carries the result out of the transaction."""


def _deferred() -> tuple[OutboxRow, JobRow]:
    """Make an event on its way, and a job of a later time."""
    what = {"id": HIS, "tag": "leak.x", "payload": SECRET.encode(), "priority": 0, "actor": BOB.id, "created_at": NOW}
    later = NOW + timedelta(days=365_000)
    return (
        OutboxRow(kind="event", **what),
        JobRow(listener="", run_after=later, state="queued", attempts=0, **what),
    )


async def _foreign(session: AsyncSession) -> list[tuple[Any, ...]]:
    """Read what Alice must not touch: whatever has to do with somebody else, and all topics and jobs."""
    found: list[tuple[Any, ...]] = []
    for row in (RoomRow, SeatRow, NoteRow, OutboxRow, TopicRow, JobRow):
        table: Any = row.__table__
        rows = await session.execute(select(table).order_by(*table.primary_key))
        whole, theirs = row in {TopicRow, JobRow}, {HIS, ELSEWHERE, THERE, BOB.id, SECRET}
        found += [(table.name, *one) for one in rows if whole or theirs & set(one)]
    return found


def probes(*modules: ModuleType) -> list[Probe]:
    """List the probes of modules: their public coroutine functions."""
    return [
        one
        for module in modules
        for name, one in vars(module).items()
        if getattr(one, "__module__", "") == module.__name__ and not name.startswith("_") and iscoroutinefunction(one)
    ]


def secrets(rows: Iterable[Any]) -> list[Any]:
    """Keep what is not Alice's."""
    return [row for row in rows if SECRET in repr(row)]


@asynccontextmanager
async def opened(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[World]:
    """Start a kit with the tables and their rows."""
    overrides = {"jobs": {"worker": False}, "access": {"roles": {"warden": ["leak:note:read"]}}}
    kit = Corekit(
        [LeakPlugin()], database=database, data_dir=tmp_path, config=Config.load(environ={}, overrides=overrides)
    )
    kit.database.policies = [*kit.database.policies, *policies(Own.metadata, ["leak_"])]
    async with alone(kit.database) as connection:
        await connection.run_sync(Own.metadata.create_all)
        if kit.database.dialect == "postgresql":
            await connection.commit()
    async with kit:
        world = World(kit)
        await world.reset()
        yield world


def note(room: UUID = MINE, author: UUID = ALICE.id, **fields: Any) -> NoteRow:
    """Make a note of Alice's in her room, unless told otherwise."""
    values = {"id": UUID(int=9), "tenant": HERE, "room_id": room, "author": author, "topic": 1, "body": "new"}
    return NoteRow(**values | fields)
