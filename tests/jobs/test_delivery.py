"""Events and jobs: delivered after the commit, per listener, retried, buried."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from corekit import Actor, Context, Event, Plugin, Settings, emit, enqueue, job, on
from corekit.data import DatabaseSettings
from corekit.testing import make_kit, settle


class Happened(Event, frozen=True, tag="test.happened"):
    """Something."""

    n: int


class Ears(Plugin[Settings]):
    """Hears everything twice: one listener fails at first."""

    name = "ears"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.failures = 2

    @on(Happened)
    async def first(self, ctx: Context, event: Happened) -> None:
        self.heard.append(("first", event.n, ctx.on_behalf_of))

    @on(Happened)
    async def second(self, ctx: Context, event: Happened) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("not yet")
        self.heard.append(("second", event.n, ctx.on_behalf_of))

    @job("ears.work")
    async def work(self, ctx: Context, n: int) -> None:
        self.heard.append(("work", n, None))


async def test_every_listener_hears_of_committed_work(database: DatabaseSettings, tmp_path: Path) -> None:
    """A rolled-back event is never heard; a committed one reaches each listener, failing ones again."""
    ears = Ears()
    settings = {"jobs": {"backoff": 0.01, "poll": 0.05}}
    async with make_kit([ears], database=database, tmp_path=tmp_path, settings=settings) as kit:
        with pytest.raises(RuntimeError):
            async with kit.context(Actor("alice")) as ctx:
                await emit(ctx, Happened(n=1))
                await enqueue(ctx, ears.work, 1)
                raise RuntimeError
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Happened(n=2))
            await enqueue(ctx, ears.work, 2, after=timedelta(seconds=0))
        await settle(kit)
    alice = Actor("alice")
    assert sorted(ears.heard, key=str) == [("first", 2, alice), ("second", 2, alice), ("work", 2, None)]


async def test_a_commit_wakes_the_worker_at_once(database: DatabaseSettings, tmp_path: Path) -> None:
    """The poll is an hour away, so only the wake-up can have done it."""
    ears = Ears()
    async with make_kit([ears], database=database, tmp_path=tmp_path, settings={"jobs": {"poll": 3600}}) as kit:
        await asyncio.sleep(0.05)
        async with kit.context(Actor("alice")) as ctx:
            await enqueue(ctx, ears.work, 1)
        async with asyncio.timeout(5):
            while not ears.heard:
                await asyncio.sleep(0.01)
