"""Waking a worker of another process on PostgreSQL."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from corekit import Actor, Context, Plugin, Settings, enqueue, job
from corekit.data import DatabaseSettings
from corekit.testing import make_kit

AN_HOUR = 3600


class Sleeper(Plugin[Settings]):
    """Says when it was woken."""

    name = "sleeper"

    def __init__(self) -> None:
        super().__init__()
        self.woken = asyncio.Event()

    @job("sleeper.wake")
    async def wake(self, ctx: Context, n: int) -> None:
        self.woken.set()


@pytest.mark.parametrize("direct", [False, True])
async def test_a_commit_elsewhere_wakes_the_worker(postgres_url: str, tmp_path: Path, *, direct: bool) -> None:
    """The poll is an hour away."""
    sleeper = Sleeper()
    database = DatabaseSettings(url=postgres_url, direct_url=postgres_url if direct else "")
    async with (
        make_kit([sleeper], database=database, tmp_path=tmp_path, settings={"jobs": {"poll": AN_HOUR}}),
        make_kit([Sleeper()], database=database, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as web,
    ):
        await asyncio.sleep(0.3)  # what the start itself wakes is over
        for _ in range(2):
            sleeper.woken.clear()
            async with web.context(Actor("alice")) as ctx:
                await enqueue(ctx, sleeper.wake, 1)
            async with asyncio.timeout(10):
                await sleeper.woken.wait()


async def test_no_business_transaction_notifies(postgres_url: str, tmp_path: Path) -> None:
    """It would hold a lock of the whole database until its commit is done: `pg_notify` is seen on its own only."""
    database = DatabaseSettings(url=postgres_url)
    async with (
        make_kit([Sleeper()], database=database, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as web,
        web.context(Actor("alice")) as ctx,
    ):
        await enqueue(ctx, Sleeper.wake, 1)
        await ctx.session.flush()
        triggers = text("SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
        assert set(await ctx.session.scalars(triggers)) <= {"corekit_audit"}  # which refuses changes, and tells nobody
