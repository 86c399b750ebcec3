"""Cancelled work: either all of it happened or nothing, and nobody else waits for it."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from corekit import Actor, Corekit, Event, emit
from corekit.data import DatabaseSettings
from corekit.data.ending import to_the_end
from corekit.testing import make_kit

SLOW = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300000) SELECT count(*) FROM c"


class Ended(Event, frozen=True, tag="test.ended"):
    """Something."""


async def recorded(kit: Corekit) -> int:
    """Count committed events."""
    async with kit.database.engine("service").connect() as connection:
        return await connection.scalar(text("SELECT count(*) FROM corekit_outbox")) or 0


async def test_a_cancelled_context_leaves_the_database_free(database: DatabaseSettings, tmp_path: Path) -> None:
    """The task and its traceback are kept: a cursor in one of its frames must not keep the lock."""
    async with make_kit([], database=database, tmp_path=tmp_path) as kit:

        async def work() -> None:
            async with kit.context(Actor("alice")) as ctx:
                await emit(ctx, Ended())
                while True:
                    (await ctx.session.execute(text(SLOW))).all()

        kept = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(0.3)
        for task in kept:
            task.cancel()
        await asyncio.wait(kept)
        async with asyncio.timeout(3), kit.context(Actor("bob")) as ctx:
            await emit(ctx, Ended())


async def test_a_cancel_during_the_commit_does_not_drop_what_waited_for_it(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    """Whenever the cancel comes: the calls are made if, and only if, the rows are there."""
    settings = {"jobs": {"worker": False}}
    async with make_kit([], database=database, tmp_path=tmp_path, settings=settings) as kit:
        for number in range(40):
            told: list[int] = []

            async def work(number: int = number, told: list[int] = told) -> None:
                async def tell() -> None:
                    told.append(number)

                async with kit.context(Actor("alice")) as ctx:
                    await emit(ctx, Ended())
                    ctx.on_commit(tell)

            before = await recorded(kit)
            task = asyncio.create_task(work())
            await asyncio.sleep(number * 0.0002)
            task.cancel()
            await asyncio.wait([task])
            assert len(told) == await recorded(kit) - before


async def test_work_runs_to_its_end_whatever_its_caller_does() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("work")

    task = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work"]
