"""What becomes of a job that fails: it comes again later, or is buried, and its work is undone."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from corekit import Actor, Caller, Context, Corekit, Event, Plugin, Settings, emit, enqueue, job, on
from corekit.data import DatabaseSettings
from corekit.data.outbox import JobRow
from corekit.errors import Forbidden, Refused
from corekit.jobs import Bury, Retry
from corekit.testing import FakeClock, make_kit, settle


class Counted(Event, frozen=True, tag="test.counted"):
    """What a job leaves behind, if it commits."""


class Failing(Plugin[Settings]):
    """Fails in the way that the payload names, as often as `failures` says."""

    name = "failing"

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.heard = 0
        self.failures = 100

    def fail(self, how: str) -> None:
        self.runs.append(how)
        if self.failures:
            self.failures -= 1
            raise {
                "error": ValueError("call ann@example.com on +49 170 1234567"),
                "problem": Forbidden("no"),
                "bury": Bury("of no use"),
                "retry": Retry(timedelta(hours=3)),
                "refused": Refused("counted"),
                "cancel": asyncio.CancelledError(),
            }[how]

    @job("failing.work", attempts=3)
    async def work(self, ctx: Context, how: str) -> None:
        await emit(ctx, Counted())
        await ctx.session.flush()
        self.fail(how)

    @on(Counted)
    async def count(self, ctx: Context, event: Counted) -> None:
        self.heard += 1

    @job("failing.network", attempts=3, network=True)
    async def network(self, caller: Caller, how: str) -> None:
        caller.demand_free("a network job")
        self.fail(how)

    @job("failing.slow", timeout=0.05)
    async def slow(self, ctx: Context, _: str) -> None:
        await asyncio.sleep(60)


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def kit(
    failing: Failing, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> AsyncGenerator[Corekit]:
    """Start a kit with a clock that stands still, so that a retry waits for the test."""
    settings = {"jobs": {"poll": 0.02, "backoff": 10.0, "backoff_max": 25.0}}
    async with make_kit([failing], database=database, tmp_path=tmp_path, clock=clock, settings=settings) as kit:
        yield kit


async def run(kit: Corekit, work: Any, how: str) -> None:
    async with kit.context(Actor("alice")) as ctx:
        await enqueue(ctx, work, how)
    await settle(kit)


async def jobs(kit: Corekit) -> list[JobRow]:
    async with kit.caller().system("failing").begin(readonly=True) as ctx:
        return [*(await ctx.session.scalars(select(JobRow)))]


@pytest.mark.parametrize("work", [Failing.work, Failing.network])
async def test_a_failed_job_comes_again_later_and_later_and_is_buried(
    kit: Corekit, failing: Failing, clock: FakeClock, work: Any
) -> None:
    for attempt, limit in ((1, 20), (2, 25)):
        await (run(kit, work, "error") if attempt == 1 else settle(kit))
        (row,) = await jobs(kit)
        assert (row.state, row.attempts, row.owner, row.lease_until) == ("queued", attempt, None, None)
        assert clock.now() <= row.run_after <= clock.now() + timedelta(seconds=limit)
        clock.move(limit)
        await asyncio.sleep(0)
    await settle(kit)
    (row,) = await jobs(kit)
    assert (row.state, row.attempts, failing.runs) == ("buried", 3, ["error"] * 3)
    assert row.last_error == "ValueError: call [address] on [number]"
    assert row.actor == Actor("alice").id


async def test_a_retry_that_succeeds_leaves_nothing(kit: Corekit, failing: Failing, clock: FakeClock) -> None:
    failing.failures = 1
    await run(kit, Failing.work, "problem")
    clock.move(20)
    await settle(kit)
    assert failing.runs == ["problem"] * 2
    assert await jobs(kit) == []


async def test_what_a_failed_job_wrote_is_undone(kit: Corekit, failing: Failing) -> None:
    await run(kit, Failing.work, "bury")
    (row,) = await jobs(kit)
    assert (row.state, row.attempts, row.last_error) == ("buried", 1, "Bury: of no use")
    assert failing.heard == 0


@pytest.mark.parametrize("work", [Failing.work, Failing.network])
async def test_a_refusal_commits_and_does_not_come_again(kit: Corekit, failing: Failing, work: Any) -> None:
    await run(kit, work, "refused")
    assert (failing.runs, failing.heard) == (["refused"], 1 if work is Failing.work else 0)
    assert await jobs(kit) == []


async def test_a_job_may_name_the_time_of_its_next_run(kit: Corekit, failing: Failing, clock: FakeClock) -> None:
    await run(kit, Failing.work, "retry")
    (row,) = await jobs(kit)
    assert row.run_after == clock.now() + timedelta(hours=3)


async def test_a_job_that_cancels_itself_failed(kit: Corekit, failing: Failing) -> None:
    await run(kit, Failing.work, "cancel")
    (row,) = await jobs(kit)
    assert (row.state, row.attempts, failing.runs) == ("queued", 1, ["cancel"])


async def test_a_job_that_takes_too_long_failed(kit: Corekit) -> None:
    await run(kit, Failing.slow, "")
    (row,) = await jobs(kit)
    assert (row.state, row.last_error) == ("queued", "TimeoutError: ")


async def test_a_job_that_killed_its_worker_at_every_attempt_is_buried(
    kit: Corekit, failing: Failing, clock: FakeClock
) -> None:
    await run(kit, Failing.work, "error")
    async with kit.caller().system("failing").begin() as ctx:
        row = (await ctx.session.scalars(select(JobRow))).one()
        row.state, row.attempts, row.lease_until = "leased", 3, clock.now() - timedelta(seconds=1)
    await settle(kit)
    (row,) = await jobs(kit)
    assert (row.state, row.last_error) == ("buried", "Bury: its worker died at every attempt")
    assert failing.runs == ["error"]
