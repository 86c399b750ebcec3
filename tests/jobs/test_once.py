"""Handled once: effects inside the database are there exactly once, however often a listener is called."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from corekit import Actor, Caller, Context, Event, Plugin, Settings, emit, enqueue, job, on, once
from corekit.data import DatabaseSettings
from corekit.data.outbox import JobRow, OnceRow
from corekit.errors import PluginError
from corekit.jobs import Retry
from corekit.testing import FakeClock, make_kit, settle


class Paid(Event, frozen=True, tag="once.paid"):
    """Somebody paid."""

    n: int


class Ledger(Plugin[Settings]):
    """Books what was paid."""

    name = "ledger"

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[tuple[str, int]] = []
        self.deliveries: list[tuple[str, UUID, int]] = []

    def note(self, caller: Caller) -> None:
        assert caller.delivery
        self.deliveries.append((caller.delivery.listener, caller.delivery.id, caller.delivery.attempt))

    @on(Paid)
    async def book(self, ctx: Context, event: Paid) -> None:
        self.note(ctx.caller)
        if await once(ctx, event):
            self.booked.append(("book", event.n))

    @on(Paid)
    async def report(self, ctx: Context, event: Paid) -> None:
        self.note(ctx.caller)
        if await once(ctx, event):
            self.booked.append(("report", event.n))
        if len([who for who, _, _ in self.deliveries if who == "ledger.report"]) == 1:
            raise Retry(timedelta(0))

    @job("ledger.network", network=True)
    async def network(self, caller: Caller, n: int) -> None:
        self.note(caller)
        async with caller.begin() as ctx:
            if await once(ctx, n):
                self.booked.append(("network", n))
        if self.deliveries[-1][2] == 1:
            raise Retry(timedelta(0))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def test_each_listener_handles_an_event_once(
    ledger: Ledger, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    async with make_kit(
        [ledger], database=database, tmp_path=tmp_path, clock=clock, settings={"jobs": {"poll": 0.02}}
    ) as kit:
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Paid(n=1))
        await settle(kit)
        assert {who: attempt for who, _, attempt in ledger.deliveries} == {"ledger.book": 1, "ledger.report": 2}
        (event,) = {id_ for _, id_, _ in ledger.deliveries}
        assert sorted(ledger.booked) == [("book", 1), ("report", 1), ("report", 1)]  # the first was rolled back
        async with kit.context(Actor.system("ledger")) as ctx:  # delivered again, by whatever fault
            ctx.session.add(
                JobRow(
                    id=event,
                    tag="once.paid",
                    listener="ledger.book",
                    payload=b'{"type":"once.paid","n":1}',
                    priority=0,
                    run_after=ctx.now(),
                    state="queued",
                    attempts=0,
                    created_at=ctx.now(),
                    origin=event,
                )
            )
        await settle(kit)
        async with kit.context(Actor.system("ledger"), readonly=True) as ctx:
            assert await ctx.session.scalar(select(func.count()).select_from(OnceRow)) == 2
    assert [who for who, _, _ in ledger.deliveries].count("ledger.book") == 2
    assert ledger.booked.count(("book", 1)) == 1


async def test_a_network_job_can_tell_that_its_context_committed_before(
    ledger: Ledger, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    async with make_kit(
        [ledger], database=database, tmp_path=tmp_path, clock=clock, settings={"jobs": {"poll": 0.02}}
    ) as kit:
        async with kit.context(Actor("alice")) as ctx:
            await enqueue(ctx, ledger.network, 7)
        await settle(kit)
    assert [attempt for _, _, attempt in ledger.deliveries] == [1, 2]
    assert ledger.booked == [("network", 7)]


async def test_once_is_for_what_was_delivered(database: DatabaseSettings, tmp_path: Path) -> None:
    async with make_kit([Ledger()], database=database, tmp_path=tmp_path) as kit:
        with pytest.raises(PluginError, match="nothing was delivered here"):
            async with kit.context(Actor("alice")) as ctx:
                await once(ctx, Paid(n=1))
