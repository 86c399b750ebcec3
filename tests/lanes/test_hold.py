"""SQLite's writing slot: nobody keeps it for ever, and whoever has waited longest gets it."""

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from corekit import Actor, Corekit, Event, emit
from corekit.data import LaneSpec
from corekit.data.outbox import OutboxRow
from corekit.data.slot import WritingSlot
from corekit.errors import Unavailable
from corekit.testing import make_kit


class Noted(Event, frozen=True, tag="test.noted"):
    """Something to count."""


async def recorded(kit: Corekit) -> int:
    """Count committed events."""
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        return await ctx.session.scalar(select(func.count(OutboxRow.id))) or 0


async def test_a_context_that_keeps_the_writing_slot_is_rolled_back(tmp_path: Path) -> None:
    settings = {"jobs": {"worker": False}, "database": {"writer_hold_max_ms": 200}}
    async with make_kit(tmp_path=tmp_path, settings=settings) as kit:
        seen: list[str] = []
        with pytest.raises(Unavailable, match="took too long"):
            async with kit.context(Actor("alice")) as ctx:
                await emit(ctx, Noted())
                await ctx.session.flush()
                waiting = asyncio.create_task(_write(kit))
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    seen.append("told where it waits")
                    raise
        assert seen == ["told where it waits"]
        await waiting
        assert await recorded(kit) == 1
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Noted())
            await ctx.session.flush()
        await asyncio.sleep(0.3)  # who came to an end is left alone
        async with kit.context(Actor("alice")):
            await asyncio.sleep(0.3)  # and so is who holds nothing


async def test_a_context_that_hears_nothing_does_not_commit_too_late(tmp_path: Path) -> None:
    settings = {"jobs": {"worker": False}, "database": {"writer_hold_max_ms": 100}}
    async with make_kit(tmp_path=tmp_path, settings=settings) as kit:
        with pytest.raises(Unavailable):
            async with kit.context(Actor("alice")) as ctx:
                await emit(ctx, Noted())
                await ctx.session.flush()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(30)
        assert await recorded(kit) == 0


async def test_a_context_that_waits_for_a_lane_through_another_task_ends(tmp_path: Path) -> None:
    settings = {"jobs": {"worker": False}, "database": {"writer_hold_max_ms": 200}}
    lane = LaneSpec[int, int]("test.same", lambda _, item: item, None)  # type: ignore[arg-type]  # the other database's
    async with make_kit(tmp_path=tmp_path, settings=settings) as kit:
        child = None
        with pytest.raises(Unavailable):
            async with kit.context(Actor("alice")) as ctx:
                await emit(ctx, Noted())
                await ctx.session.flush()
                child = asyncio.create_task(kit.lane(lane).append(7))
                await asyncio.shield(child)
        assert child is not None
        assert await child == 7


async def _write(kit: Corekit) -> None:
    async with kit.context(Actor("bob")) as ctx:
        await emit(ctx, Noted())


async def test_tasks_and_threads_take_turns_in_the_order_they_came() -> None:
    slot = WritingSlot()
    order: list[str] = []
    came = threading.Event()

    async def task(name: str) -> None:
        async with slot:
            order.append(name)

    def thread() -> None:
        came.set()
        with slot.held():
            order.append("thread")

    await slot.acquire()
    first = asyncio.create_task(task("first"))
    gone = asyncio.create_task(task("gone"))
    await asyncio.sleep(0)
    other = asyncio.create_task(asyncio.to_thread(thread))
    await asyncio.to_thread(came.wait)
    await asyncio.sleep(0.05)
    last = asyncio.create_task(task("last"))
    await asyncio.sleep(0)
    gone.cancel()
    slot.release()
    await asyncio.gather(first, other, last)
    assert order == ["first", "thread", "last"]
    async with asyncio.timeout(10), slot:
        pass


async def test_a_task_that_is_cancelled_as_it_gets_the_slot_passes_it_on() -> None:
    slot = WritingSlot()
    await slot.acquire()
    waiting = asyncio.create_task(slot.acquire())
    await asyncio.sleep(0)
    slot.release()
    await asyncio.sleep(0)  # granted, but the task has not run
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    if not waiting.cancelled():
        slot.release()
    async with asyncio.timeout(10), slot:
        pass
