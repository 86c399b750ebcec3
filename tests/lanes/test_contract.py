"""The contract of every lane, on both databases: durable before it answers, ordered, and nobody harms a neighbour."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from rooms import SETTINGS, WRITE, Entry, answer, rooms, stored
from sqlalchemy import text

from corekit import Actor, Corekit, emit
from corekit.data import Batch, DatabaseSettings, Lane, LaneSpec
from corekit.errors import Conflict, InsideContext, TooMany, Unavailable
from corekit.events import Event
from corekit.testing import make_kit


class Written(Event, frozen=True, tag="test.written"):
    """Something a context writes."""


async def test_an_answer_comes_after_the_commit(kit: Corekit) -> None:
    assert await kit.lane(WRITE).append(Entry("a", "one")) == 1
    assert await stored(kit) == [(1, "one")]


async def test_a_lane_inside_a_context_is_refused(kit: Corekit) -> None:
    for readonly in (True, False):
        async with kit.context(Actor("alice"), readonly=readonly):
            with pytest.raises(InsideContext):
                await kit.lane(WRITE).append(Entry("a", "one"))
    assert await stored(kit) == []


async def test_what_the_commit_refuses_is_not_answered(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await lane.append(Entry("a", "one", lost=True))
    assert await lane.append(Entry("a", "two")) == 1
    assert await stored(kit) == [(1, "two")]


async def test_one_refusal_among_256_harms_no_neighbour(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    items = [Entry("a", str(number), refuse=number == 100) for number in range(256)]
    answers = await asyncio.gather(*(lane.append(item) for item in items), return_exceptions=True)
    refused = answers.pop(100)
    assert isinstance(refused, Conflict)
    assert refused.detail == "100"
    assert answers == list(range(1, 256))
    assert [word for _, word in await stored(kit)] == [item.word for item in items if not item.refuse]


async def test_what_the_commit_refuses_harms_no_neighbour(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    items = [Entry("a", str(number), lost=number == 5) for number in range(20)]
    answers = await asyncio.gather(*(lane.append(item) for item in items), return_exceptions=True)
    assert isinstance(answers.pop(5), Exception)
    assert answers == list(range(1, 20))
    assert [word for _, word in await stored(kit)] == [item.word for item in items if not item.lost]


async def test_a_key_that_comes_twice_at_once_is_one_row(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    answers = await asyncio.gather(*(lane.append(Entry("a", str(number % 10))) for number in range(200)))
    assert answers == [number % 10 + 1 for number in range(200)]
    assert len(await stored(kit)) == 10


async def test_the_order_of_submission_is_kept_per_key(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    tasks = [
        asyncio.create_task(lane.append(Entry(room, f"{room}{number}"))) for number in range(150) for room in ("a", "b")
    ]
    await asyncio.gather(*tasks)
    for room in ("a", "b"):
        assert await stored(kit, room) == [(number + 1, f"{room}{number}") for number in range(150)]


async def test_items_that_give_up_harm_no_neighbour(kit: Corekit) -> None:
    lane = kit.lane(WRITE)
    tasks = [asyncio.create_task(lane.append(Entry("a", str(number)))) for number in range(60)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    seqs = [answer for answer in answers if isinstance(answer, int)]
    assert len(seqs) == 40
    words = [word for _, word in await stored(kit)]
    assert {str(number) for number in range(60) if number % 3} <= set(words)
    assert len(words) == len(set(words))


async def test_contexts_and_lanes_wait_for_each_other_without_deadlock(kit: Corekit) -> None:
    """200 of each at once, all of which also read before they write."""
    lane = kit.lane(WRITE)

    async def send(number: int) -> int:
        async with kit.context(Actor("alice"), readonly=True) as ctx:
            await ctx.session.execute(text("SELECT 1"))
        return await lane.append(Entry("a", str(number)))

    async def write() -> None:
        async with kit.context(Actor("alice")) as ctx:
            await ctx.session.execute(text("SELECT 1"))
            await emit(ctx, Written())

    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(send(number) for number in range(200)), *(write() for _ in range(200)))
    assert {*answers[:200]} == {*range(1, 201)}
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        assert (await ctx.session.execute(text("SELECT count(*) FROM corekit_outbox"))).scalar() == 200


async def test_a_stop_answers_everything_that_was_accepted(database: DatabaseSettings, tmp_path: Path) -> None:
    async with rooms(database, tmp_path) as kit:
        lane = kit.lane(WRITE)
        tasks = [asyncio.create_task(lane.append(Entry("a", str(number)))) for number in range(300)]
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*tasks) == list(range(1, 301))
    with pytest.raises(Unavailable, match="shutting down"):
        await lane.append(Entry("a", "late"))
    async with make_kit(database=database, tmp_path=tmp_path, settings=SETTINGS) as kit:
        assert len(await stored(kit)) == 300


async def test_the_queue_has_an_end(kit: Corekit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"corekit.data.lanes.{kit.database.dialect}.QUEUE", 10)
    lane = kit.lane(WRITE)
    answers = await asyncio.gather(*(lane.append(Entry("a", str(n))) for n in range(30)), return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, int)] == list(range(1, 11))
    assert sum(isinstance(answer, TooMany) for answer in answers) == 20
    assert await lane.append(Entry("a", "later")) == 11


async def test_a_statement_that_is_wrong_harms_no_neighbour(kit: Corekit) -> None:
    def wrong(connection: sqlite3.Connection, _: Entry) -> int:
        return int(connection.execute("SELECT seq FROM nowhere").fetchone())

    wrong_too = Batch[Entry, int]("SELECT $1, seq FROM nowhere", lambda entry: (entry.word,), answer, lambda _: None)
    lanes: list[Lane[Entry, int]] = [kit.lane(WRITE), kit.lane(LaneSpec("test.wrong", wrong, wrong_too))]
    one, bad, two = await asyncio.gather(
        lanes[0].append(Entry("a", "1")),
        lanes[1].append(Entry("a", "x")),
        lanes[0].append(Entry("a", "2")),
        return_exceptions=True,
    )
    assert (one, two) == (1, 2)
    assert isinstance(bad, Exception)
    assert "nowhere" in str(bad)


async def test_an_item_wakes_the_worker(kit: Corekit) -> None:
    woken: list[str] = []
    end: Callable[[], None] = kit.database.on_wake(lambda: woken.append("woken"))
    await kit.lane(WRITE).append(Entry("a", "1"))
    end()
    await kit.lane(WRITE).append(Entry("a", "2"))
    assert woken == ["woken"]
