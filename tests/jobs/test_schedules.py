"""Schedules: slots in time zones, one run per slot, missed ones once."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from corekit import Caller, Context, Corekit, Plugin, Settings, schedule
from corekit.data import DatabaseSettings
from corekit.data.outbox import JobRow, OnceRow, ScheduleRow
from corekit.errors import PluginError
from corekit.jobs.schedules import Schedule
from corekit.testing import FakeClock, make_kit, settle

BERLIN = "Europe/Berlin"


class Clockwork(Plugin[Settings]):
    """Runs by the calendar."""

    name = "clockwork"
    purposes = {"clockwork.hour": "A purpose of its own."}

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Any] = []

    @schedule("0 * * * *", tag="clockwork.hourly", purpose="clockwork.hour")
    async def hourly(self, ctx: Context) -> None:
        self.ran.append((ctx.actor.name, ctx.now()))

    @schedule("30 12 * * *", tag="clockwork.network", network=True)
    async def network(self, caller: Caller) -> None:
        caller.demand_free("a network job")
        self.ran.append("network")


def start(
    plugin: Clockwork, database: DatabaseSettings, folder: Path, clock: FakeClock
) -> AbstractAsyncContextManager[Corekit]:
    settings = {"jobs": {"poll": 0.02}}
    return make_kit([plugin], database=database, tmp_path=folder, clock=clock, settings=settings)


async def slots(kit: Corekit) -> dict[str, datetime]:
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        return {row.tag: row.slot for row in (await ctx.session.scalars(select(ScheduleRow))).all()}


async def look(kit: Corekit, slot: datetime) -> None:
    """Wait until the worker has decided this slot, and what came of it has run."""
    while (await slots(kit)).get("clockwork.hourly") != slot:
        kit.database.wake()
    await settle(kit)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def test_a_slot_runs_once_and_missed_ones_together_once(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    one = Clockwork()
    async with start(one, database, tmp_path, clock) as kit:
        await look(kit, at("2030-01-01T12:00Z"))
        assert one.ran == []  # a new schedule begins with its next slot
        clock.move(3600)
        await look(kit, at("2030-01-01T13:00Z"))
    assert one.ran == ["network", ("clockwork.hour", clock.now())] or one.ran == [
        ("clockwork.hour", clock.now()),
        "network",
    ]
    clock.move(5 * 3600 + 60)
    other = Clockwork()
    async with start(other, database, tmp_path, clock) as kit:
        await look(kit, at("2030-01-01T18:00Z"))
        await settle(kit)
    assert other.ran == [("clockwork.hour", clock.now())]


async def test_of_several_workers_one_runs_a_slot(postgres_url: str, tmp_path: Path, clock: FakeClock) -> None:
    plugins = [Clockwork() for _ in range(3)]
    database = DatabaseSettings(url=postgres_url)
    async with AsyncExitStack() as stack:
        kits = [await stack.enter_async_context(start(plugin, database, tmp_path, clock)) for plugin in plugins]
        await look(kits[0], at("2030-01-01T12:00Z"))
        for hour in range(13, 18):
            clock.move(3600)
            for kit in kits:
                kit.database.wake()
            await look(kits[0], at(f"2030-01-01T{hour}:00Z"))
        for kit in kits:
            await settle(kit)
    hours = sorted(run[1].hour for plugin in plugins for run in plugin.ran if run != "network")
    assert hours == [13, 14, 15, 16, 17]


async def test_a_late_worker_asks_for_nothing_that_was_done(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    """Its clock is behind: the slot in the database stays where it is."""
    late = Clockwork()
    async with start(Clockwork(), database, tmp_path, clock) as kit:
        await look(kit, at("2030-01-01T12:00Z"))
        clock.move(7200)
        await look(kit, at("2030-01-01T14:00Z"))
    behind = FakeClock()
    behind.move(3700)
    async with start(late, database, tmp_path, behind) as kit:
        await settle(kit)
        behind.move(0)
        assert (await slots(kit))["clockwork.hourly"] == at("2030-01-01T14:00Z")
        async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
            assert (await ctx.session.scalars(select(JobRow))).all() == []
    assert late.ran == []


async def test_the_core_forgets_what_was_handled_long_ago(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    async with start(Clockwork(), database, tmp_path, clock) as kit:
        await look(kit, at("2030-01-01T12:00Z"))
        async with kit.caller().system("corekit.jobs").begin() as ctx:
            ctx.session.add(OnceRow(listener="a.b", event=kit.caller().actor.id, created_at=clock.now()))
        clock.move(31 * 24 * 3600)
        await look(kit, at("2030-02-01T12:00Z"))
        await settle(kit)
        async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
            assert (await ctx.session.scalars(select(OnceRow))).all() == []


@pytest.mark.parametrize(
    ("cron", "after", "slots"),
    [  # clocks go from 02:00 to 03:00 on 31 March, and from 03:00 back to 02:00 on 27 October 2030
        ("30 2 * * *", "2030-03-30T12:00+01:00", ["2030-03-31T03:00+02:00", "2030-04-01T02:30+02:00"]),
        ("30 2 * * *", "2030-10-26T12:00+02:00", ["2030-10-27T02:30+02:00", "2030-10-28T02:30+01:00"]),
        ("0 * * * *", "2030-03-31T00:30+01:00", ["2030-03-31T01:00+01:00", "2030-03-31T03:00+02:00"]),
        (
            "0 * * * *",
            "2030-10-27T01:30+02:00",
            ["2030-10-27T02:00+02:00", "2030-10-27T02:00+01:00", "2030-10-27T03:00+01:00"],
        ),
    ],
)
def test_slots_when_the_clocks_change(cron: str, after: str, slots: list[str]) -> None:
    """Neither skipped nor doubled, forwards and backwards; what runs each hour runs each hour."""
    found, one = at(after), Schedule("x", cron, BERLIN)
    for expected in slots:
        previous, found = found, one.after(found)
        assert found == at(expected)
        assert one.until(found) == found
        assert one.until(found.replace(microsecond=7)) == found
        assert one.until(previous) <= previous


@pytest.mark.parametrize(
    ("cron", "zone"), [("* * * *", "UTC"), ("* * * * * *", "UTC"), ("61 * * * *", "UTC"), ("* * * * *", "Nowhere")]
)
def test_what_is_no_schedule_is_refused_where_it_is_written(cron: str, zone: str) -> None:
    with pytest.raises(PluginError, match=r"schedule 'x\.y'"):
        schedule(cron, tag="x.y", zone=zone)
