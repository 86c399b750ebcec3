"""Listeners that the process at work does not have: their deliveries wait for one that does."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from corekit import Actor, Context, Corekit, Event, Plugin, Settings, emit, on
from corekit.data import DatabaseSettings
from corekit.data.outbox import JobRow, ListenerRow
from corekit.testing import FakeClock, make_kit, settle

HOUR = 3600


class Told(Event, frozen=True, tag="listeners.told"):
    """Somebody told."""


class Here(Plugin[Settings]):
    """Is in every process."""

    name = "here"
    heard = 0

    @on(Told)
    async def hear(self, ctx: Context, event: Told) -> None:
        self.heard += 1


class There(Plugin[Settings]):
    """Is in some process only."""

    name = "there"
    heard = 0

    @on(Told)
    async def hear(self, ctx: Context, event: Told) -> None:
        self.heard += 1


class NewThere(Plugin[Settings]):
    """Its next version, which hears with another ear."""

    name = "there"
    heard = 0

    @on(Told)
    async def listen(self, ctx: Context, event: Told) -> None:
        self.heard += 1


Start = Callable[..., AbstractAsyncContextManager[Corekit]]


@pytest.fixture
def start(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> Start:
    def start(*plugins: Plugin[Any], worker: bool = True) -> AbstractAsyncContextManager[Corekit]:
        settings = {"jobs": {"poll": 0.02, "worker": worker}}
        return make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=settings)

    return start


async def tell(kit: Corekit) -> None:
    async with kit.context(Actor("alice")) as ctx:
        await emit(ctx, Told())


async def open_listeners(kit: Corekit) -> list[str]:
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        return sorted(row.listener for row in await ctx.session.scalars(select(JobRow)))


async def told_and_moved(kit: Corekit) -> list[str]:
    """Tell, wait until this process has done its part, and say what is left for others."""
    here = next(plugin for plugin in kit.plugins if isinstance(plugin, Here))
    before = here.heard
    await tell(kit)
    while here.heard == before:
        kit.database.wake()
        await open_listeners(kit)
    return [name for name in await open_listeners(kit) if name != "here.hear"]


async def test_a_listener_of_another_process_hears_what_this_one_moves(start: Start) -> None:
    here, there = Here(), There()
    async with start(There(), worker=False):  # it starts, and says what it has
        pass
    async with start(here) as kit:
        assert await told_and_moved(kit) == ["there.hear"]
    async with start(there) as kit:
        await settle(kit)
    assert (here.heard, there.heard) == (1, 1)


async def test_an_event_that_nobody_here_knows_at_all_is_moved_for_those_who_do(start: Start) -> None:
    there = There()
    async with start(There(), worker=False) as kit:
        await tell(kit)
    async with start() as kit:
        while not await open_listeners(kit):
            kit.database.wake()
    async with start(there) as kit:
        await settle(kit)
    assert there.heard == 1


async def test_a_listener_that_is_gone_from_the_code_is_forgotten(start: Start, clock: FakeClock) -> None:
    """Its plugin has been there since, without it; a plugin that nobody starts is waited for, for a week."""
    async with start(There(), worker=False):
        pass
    clock.move(2 * HOUR)
    async with start(Here()) as kit:
        assert await told_and_moved(kit) == ["there.hear"]
    clock.move(7 * 24 * HOUR)
    async with start(Here()) as kit:
        await settle(kit)  # a day without anybody who knows it: buried
        assert await told_and_moved(kit) == ["there.hear"]
        await settle(kit)
        async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
            assert [row.listener for row in await ctx.session.scalars(select(ListenerRow))] == ["here.hear"]
            assert [row.state for row in await ctx.session.scalars(select(JobRow))] == ["buried"]


async def test_a_renamed_listener_is_forgotten_soon(start: Start, clock: FakeClock) -> None:
    async with start(There(), worker=False):
        pass
    clock.move(2 * HOUR)
    new = NewThere()
    async with start(Here(), new) as kit:
        assert "there.hear" not in await told_and_moved(kit)
        await settle(kit)
    assert new.heard == 1
