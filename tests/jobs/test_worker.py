"""The worker: leases, fencing, keys, order, and a stop that loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from corekit import Actor, Caller, Context, Corekit, Event, Plugin, Settings, emit, enqueue, job, on
from corekit.data import DatabaseSettings
from corekit.data.migrating import alone
from corekit.data.outbox import JobRow, OutboxRow
from corekit.testing import FakeClock, make_kit, settle


class Done(Event, frozen=True, tag="test.done"):
    """What a job leaves behind, if it commits."""

    n: int


class Work(Plugin[Settings]):
    """Jobs that do what a test needs."""

    name = "work"
    purposes = {"work.special": "A purpose of its own."}

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Any] = []
        self.done: list[int] = []
        self.started = asyncio.Event()
        self.finish = asyncio.Event()

    @on(Done)
    async def hear(self, ctx: Context, event: Done) -> None:
        self.done.append(event.n)

    @job("work.note")
    async def note(self, ctx: Context, n: int) -> None:
        self.ran.append(n)
        await asyncio.sleep(0.002)
        await emit(ctx, Done(n=n))

    @job("work.twin")
    async def twin(self, ctx: Context, n: int) -> None:
        self.ran.append(("twin", n))

    @job("work.long")
    async def long(self, ctx: Context, n: int) -> None:
        self.ran.append(n)
        self.started.set()
        await self.finish.wait()
        await emit(ctx, Done(n=n))

    @job("work.robbed")
    async def robbed(self, ctx: Context, n: int) -> None:
        self.ran.append(n)
        await asyncio.create_task(self.rob(ctx.caller))
        await emit(ctx, Done(n=n))

    @staticmethod
    async def rob(caller: Caller) -> None:
        """Take all leases over, as a worker does that found them expired."""
        async with caller.begin() as ctx:
            await ctx.session.execute(update(JobRow).values(owner=uuid4(), lease_until=ctx.now() + timedelta(hours=1)))

    @job("work.who", purpose="work.special")
    async def who(self, ctx: Context, n: int) -> None:
        self.ran.append((ctx.actor, ctx.on_behalf_of, ctx.tenant, ctx.caller.request_id))


@pytest.fixture
def work() -> Work:
    return Work()


def start(
    work: Work, url: str, folder: Path, clock: FakeClock | None = None, **jobs: Any
) -> AbstractAsyncContextManager[Corekit]:
    """Start a kit whose worker looks often."""
    return make_kit([work], database=url, tmp_path=folder, clock=clock, settings={"jobs": {"poll": 0.02} | jobs})


@pytest.fixture
async def kit(work: Work, database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    """Start a kit with a clock that stands still."""
    async with start(work, database, tmp_path, clock) as kit:
        yield kit


async def jobs(kit: Corekit) -> list[JobRow]:
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        return [*(await ctx.session.scalars(select(JobRow)))]


async def ask(kit: Corekit, what: Any, n: int, **options: Any) -> None:
    async with kit.context(Actor("alice")) as ctx:
        await enqueue(ctx, what, n, **options)


async def test_a_job_acts_for_its_purpose_on_behalf_of_who_asked(kit: Corekit, work: Work) -> None:
    caller = kit.caller(Actor("alice"))
    async with caller.begin() as ctx:
        await enqueue(ctx, work.who, 1)
    async with kit.context(Actor.system("work")) as ctx:
        await enqueue(ctx, work.who, 2)
        nobody = ctx.caller.request_id
    await settle(kit)
    special = Actor.system("work.special")
    assert sorted(work.ran, key=str) == sorted(
        [(special, Actor("alice"), None, caller.request_id), (special, None, None, nobody)], key=str
    )


async def test_a_scheduled_job_waits_for_its_time(kit: Corekit, work: Work, clock: FakeClock) -> None:
    await ask(kit, work.note, 1, after=timedelta(hours=1))
    await ask(kit, work.note, 2, after=clock.now() + timedelta(hours=2))
    for expected in ([], [1], [1, 2]):
        await settle(kit)
        assert work.ran == expected
        clock.move(3600)


async def test_a_key_is_unique_among_open_jobs_of_its_tag(kit: Corekit, work: Work, clock: FakeClock) -> None:
    hour = timedelta(hours=1)
    for n in (1, 2):
        await ask(kit, work.note, n, key="same", after=hour)
    async with kit.context(Actor("alice")) as ctx:
        for n in (3, 4):
            await enqueue(ctx, work.note, n, key="same", after=hour)
        await enqueue(ctx, work.note, 5, key="other", after=hour)
        await enqueue(ctx, work.twin, 6, key="same", after=hour)
    await settle(kit)
    assert len(await jobs(kit)) == 3
    clock.move(3600)
    await settle(kit)
    assert sorted(work.ran, key=str) == [("twin", 6), 1, 5]
    await ask(kit, work.note, 7, key="same")
    await settle(kit)
    assert 7 in work.ran


async def test_the_urgent_come_first(work: Work, database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> None:
    async with start(work, database, tmp_path, clock, concurrency=1) as kit:
        async with kit.context(Actor("alice")) as ctx:
            for n, priority in ((1, 0), (2, 5), (3, -1), (4, 5)):
                await enqueue(ctx, work.note, n, priority=priority)
        await settle(kit)
    assert work.ran[-2:] == [1, 3]
    assert sorted(work.ran[:2]) == [2, 4]


async def test_who_lost_the_lease_does_not_commit(
    kit: Corekit, work: Work, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(kit, work.robbed, 1)
    async with asyncio.timeout(5):
        while "job_lost_lease" not in caplog.text:
            await asyncio.sleep(0.01)
    (row,) = await jobs(kit)
    assert (row.state, row.attempts, row.listener) == ("leased", 1, "work.robbed")
    assert (work.ran, work.done) == ([1], [])


async def test_a_long_job_keeps_its_lease(work: Work, database: DatabaseSettings, tmp_path: Path) -> None:
    async with start(work, database, tmp_path, lease=0.9) as kit:
        await ask(kit, work.long, 1)
        await work.started.wait()
        await asyncio.sleep(2)
        work.finish.set()
        await settle(kit)
    assert (work.ran, work.done) == ([1], [1])


async def test_a_stop_lets_running_jobs_finish_and_keeps_their_leases(
    work: Work, database: DatabaseSettings, tmp_path: Path
) -> None:
    """Another worker would take the job over as soon as its lease ends."""
    other = Work()
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        kit = await first.enter_async_context(start(work, database, tmp_path, lease=0.9))
        await ask(kit, work.long, 1)
        await work.started.wait()
        successor = await second.enter_async_context(start(other, database, tmp_path))
        asyncio.get_running_loop().call_later(1.8, work.finish.set)
        await first.aclose()
        await settle(successor)
    assert (work.ran, other.ran) == ([1], [])
    assert work.done + other.done == [1]


async def test_a_stop_gives_back_what_does_not_finish(work: Work, database: DatabaseSettings, tmp_path: Path) -> None:
    async with start(work, database, tmp_path, stop=0.1) as kit:
        await ask(kit, work.long, 1)
        await work.started.wait()
    async with make_kit([Work()], database=database, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
        (row,) = await jobs(kit)
        assert (row.state, row.attempts, row.owner) == ("queued", 0, None)
    assert work.done == []


async def test_a_stop_at_any_moment_leaves_no_lease(work: Work, database: DatabaseSettings, tmp_path: Path) -> None:
    """Also while it claims: what was claimed is run or given back, never left to its lease."""
    for pause in (0, 0.001, 0.003, 0.01):
        async with start(work, database, tmp_path) as kit:
            async with kit.context(Actor("alice")) as ctx:
                for n in range(5):
                    await enqueue(ctx, work.note, n)
            await asyncio.sleep(pause)
        async with make_kit([], database=database, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
            assert {row.state for row in await jobs(kit)} <= {"queued"}
    async with start(work, database, tmp_path) as kit:
        await settle(kit)
    assert Counter(work.ran) == dict.fromkeys(range(5), 4)
    assert Counter(work.done) == dict.fromkeys(range(5), 4)


async def test_what_nobody_here_knows_waits_for_who_does(kit: Corekit, clock: FakeClock) -> None:
    """A newer process has listeners and tags that this one lacks; after a day nobody does."""
    common: dict[str, Any] = {"tag": "new.tag", "payload": b"{}", "priority": 0, "created_at": clock.now()}
    queued = {"state": "queued", "attempts": 0, "run_after": clock.now(), "listener": "new.listener"}
    async with kit.caller().system("work").begin() as ctx:
        ctx.session.add(OutboxRow(id=uuid4(), kind="event", **common))
        ctx.session.add(JobRow(id=uuid4(), **common, **queued))
    kit.database.wake()
    await asyncio.sleep(0.1)
    (row,) = await jobs(kit)
    assert (row.state, row.attempts) == ("queued", 0)
    clock.move(24 * 3600 + 1)
    await settle(kit)
    assert {(row.state, row.last_error) for row in await jobs(kit)} == {
        ("buried", "Bury: no plugin has this listener"),
        ("buried", "no process knows this tag"),
    }


async def test_two_workers_share_and_nothing_runs_twice(postgres_url: str, tmp_path: Path) -> None:
    one, other = Work(), Work()
    async with start(one, postgres_url, tmp_path) as kit, start(other, postgres_url, tmp_path):
        for batch in range(20):
            async with kit.context(Actor("alice")) as ctx:
                for n in range(10):
                    await enqueue(ctx, one.note, batch * 10 + n)
        await settle(kit, seconds=30)
    assert Counter([*one.ran, *other.ran]) == dict.fromkeys(range(200), 1)
    assert Counter([*one.done, *other.done]) == dict.fromkeys(range(200), 1)
    assert one.ran
    assert other.ran


async def test_a_worker_outlives_its_database(kit: Corekit, work: Work, caplog: pytest.LogCaptureFixture) -> None:
    async with alone(kit.database) as connection:
        await connection.execute(text("ALTER TABLE corekit_job RENAME TO corekit_gone"))
        if kit.database.dialect == "postgresql":
            await connection.commit()
    async with asyncio.timeout(5):
        while "worker_step_failed" not in caplog.text:
            await asyncio.sleep(0.01)
    async with alone(kit.database) as connection:
        await connection.execute(text("ALTER TABLE corekit_gone RENAME TO corekit_job"))
        if kit.database.dialect == "postgresql":
            await connection.commit()
    await ask(kit, work.note, 1)
    await settle(kit)
    assert work.done == [1]
