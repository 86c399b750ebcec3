"""The audit log: what is found in it, page by page, and how long it is kept."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from corekit import Actor, Corekit
from corekit.context import Caller, Kit
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery, Target
from corekit.data import DatabaseSettings
from corekit.errors import Invalid
from corekit.testing import FakeClock, make_kit, settle
from corekit.values import Page

ALICE, BOB = Actor("alice"), Actor("bob")


@asynccontextmanager
async def started(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, audit: Mapping[str, Any] | None = None
) -> AsyncGenerator[Corekit]:
    async with make_kit(database=database, tmp_path=tmp_path, clock=clock, settings={"audit": audit or {}}) as kit:
        yield kit


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    async with started(database, tmp_path, clock) as kit:
        yield kit


async def record(caller: Caller, action: str = "shop.opened", **said: Any) -> None:
    async with caller.begin() as ctx:
        await ctx.get(Audit).record(ctx, action, **said)


async def find(caller: Caller, **query: Any) -> Page[AuditEntry]:
    async with caller.begin(readonly=True) as ctx:
        return await ctx.get(Audit).find(ctx, AuditQuery(**query))


async def actions(caller: Caller, **query: Any) -> list[str]:
    return [entry.action for entry in (await find(caller, **query)).items]


def everything(kit: Kit) -> Caller:
    return kit.caller().system("corekit.audit")


async def test_filters(kit: Corekit, clock: FakeClock) -> None:
    start = clock.now()
    for number, (actor, action, target) in enumerate(
        (
            (ALICE, "shop.opened", None),
            (BOB, "shop.order.made", Target("order", "1")),
            (ALICE, "shop_x.opened", Target("order", "2")),
            (BOB, "login", Target("user", ALICE.id)),
        )
    ):
        clock.move(start.timestamp() + number - clock.now().timestamp())
        await record(kit.caller(actor), action, target=target)
    caller, second = everything(kit), timedelta(seconds=1)
    for query, expected in (
        ({}, ["login", "shop_x.opened", "shop.order.made", "shop.opened"]),
        ({"actor": ALICE.id}, ["shop_x.opened", "shop.opened"]),
        ({"action": "shop.opened"}, ["shop.opened"]),
        ({"action": "shop."}, ["shop.order.made", "shop.opened"]),
        ({"action": "shop_x."}, ["shop_x.opened"]),
        ({"action": "%."}, []),
        ({"target": Target("order", "")}, ["shop_x.opened", "shop.order.made"]),
        ({"target": Target("user", ALICE.id)}, ["login"]),
        ({"since": start + second}, ["login", "shop_x.opened", "shop.order.made"]),
        ({"until": start + second}, ["shop.opened"]),
        ({"since": start + second, "until": start + 3 * second, "actor": BOB.id}, ["shop.order.made"]),
    ):
        assert await actions(caller, **query) == expected, query


async def test_pages_end_and_miss_nothing(kit: Corekit, clock: FakeClock) -> None:
    for number in range(7):
        clock.move(number % 2)  # several of one time
        await record(kit.caller(ALICE), f"shop.{number}")
    seen, cursor = [], None
    for size in (3, 3, 1):
        page = await find(kit.caller(ALICE), limit=3, cursor=cursor)
        assert len(page.items) == size
        seen, cursor = [*seen, *page.items], page.next
        await record(kit.caller(ALICE), "shop.later")  # at the front: no page to come has it or loses one for it
        clock.move(1)
    assert cursor is None
    times = [entry.created_at for entry in seen]
    assert times == sorted(times, reverse=True)
    assert {entry.action for entry in seen} == {f"shop.{number}" for number in range(7)}


@pytest.mark.parametrize(
    ("pointer", "query"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 201}),
        ("since", {"since": datetime(2030, 1, 1)}),  # noqa: DTZ001  # that is what is refused
        ("until", {"until": datetime(2030, 1, 1)}),  # noqa: DTZ001
        ("cursor", {"cursor": "nonsense"}),
        ("cursor", {"cursor": "WzEsIngiXQ"}),  # [1,"x"]
        ("cursor", {"cursor": "WzQwMDAwMDAwMDAwMDAwMDAwMDAsIngiXQ"}),  # [4000000000000000000,"x"]
    ],
)
async def test_a_query_that_makes_no_sense_says_where(kit: Corekit, pointer: str, query: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        await find(kit.caller(ALICE), **query)
    assert refused.value.extensions["pointer"] == pointer


async def test_many_record_at_once(kit: Corekit) -> None:
    await asyncio.gather(*(record(kit.caller(Actor(f"person {number}"))) for number in range(20)))
    found = (await find(everything(kit), limit=200)).items
    assert len({entry.actor for entry in found}) == len(found) == 20


@pytest.mark.parametrize(("keep_days", "kept"), [(400, ["shop.young"]), (0, ["shop.young", "shop.old"])])
async def test_what_is_old_goes_in_batches(
    database: DatabaseSettings,
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    keep_days: int,
    kept: list[str],
) -> None:
    monkeypatch.setattr("corekit.guard.audit._BATCH", 3)
    async with started(database, tmp_path, clock, {"keep_days": keep_days}) as kit:
        (job,) = [job for tag, job in kit.handlers.jobs.items() if tag == "corekit.prune_audit"]
        for _ in range(7):
            await record(kit.caller(ALICE), "shop.old")
        clock.move(400 * 86_400)
        await record(kit.caller(ALICE), "shop.young")
        await job.call(everything(kit), None)
        assert len(await actions(everything(kit))) == 8, "on the day itself it is still there"
        clock.move(1)
        await job.call(everything(kit), None)
        assert list(dict.fromkeys(await actions(everything(kit)))) == kept


async def test_the_worker_prunes_each_night(kit: Corekit, clock: FakeClock) -> None:
    await record(kit.caller(ALICE), "shop.old")
    clock.move(datetime(2032, 1, 1, tzinfo=UTC).timestamp() - clock.now().timestamp())
    for _ in range(100):
        if not await actions(everything(kit)):
            break
        clock.move(86_400)
        await asyncio.sleep(0.05)
        await settle(kit)
    assert await actions(everything(kit)) == []
