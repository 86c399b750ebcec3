"""PostgreSQL's micro-batches: a lost race is run again, what only looks like one ends, a lost connection comes back."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
from rooms import WRITE, Entry, rooms, statement, stored
from sqlalchemy import text

from corekit import Corekit
from corekit.data import DatabaseSettings
from corekit.errors import Unavailable
from corekit.testing import make_kit


@pytest.fixture
async def kits(postgres_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Corekit, Corekit]]:
    """Start two kits, as two processes would, on one database."""
    database = DatabaseSettings(url=postgres_url)
    settings = {"jobs": {"worker": False}}
    async with (
        rooms(database, tmp_path) as one,
        make_kit(database=database, tmp_path=tmp_path, settings=settings) as other,
    ):
        yield one, other


async def run(kit: Corekit, sql: str) -> None:
    """Run a statement on a connection of its own."""
    async with kit.database.engine().begin() as connection:
        await connection.execute(text(sql))


async def test_equal_keys_on_two_processes_at_once(kits: tuple[Corekit, Corekit]) -> None:
    words = [str(number % 25) for number in range(200)]
    answers = await asyncio.gather(*(kit.lane(WRITE).append(Entry("a", word)) for word in words for kit in kits))
    assert len(set(answers)) == 25
    found = await stored(kits[0])
    assert [seq for seq, _ in found] == list(range(1, 26))
    assert {word: seq for seq, word in found} == dict(zip([word for word in words for _ in kits], answers, strict=True))


async def test_who_loses_the_race_for_a_key_runs_again_and_finds_it(kits: tuple[Corekit, Corekit]) -> None:
    """Without a lock the statement looks before the other has committed, and its own insert fails."""
    sql = """
      WITH pause AS MATERIALIZED (SELECT pg_sleep(0.2)),
      item AS MATERIALIZED (SELECT item.*, e.seq FROM pause, unnest($1::text[]) WITH ORDINALITY AS item(word, ord)
                            LEFT JOIN test_entry e ON e.word = item.word),
      written AS (INSERT INTO test_entry SELECT 'a', 100 + ord, word FROM item WHERE seq IS NULL RETURNING seq, word)
      SELECT ord, coalesce(item.seq, (SELECT seq FROM written w WHERE w.word = item.word)), item.seq FROM item"""
    spec = statement(sql)
    one, other = await asyncio.gather(*(kit.lane(spec).append("new") for kit in kits))
    assert one == other == 101
    assert await stored(kits[0]) == [(101, "new")]


async def test_a_race_that_never_ends_is_unavailable_and_harms_no_neighbour(kits: tuple[Corekit, Corekit]) -> None:
    await kits[0].lane(WRITE).append(Entry("a", "taken"))
    sql = """
      WITH item AS (SELECT * FROM unnest($1::text[]) WITH ORDINALITY AS item(word, ord)),
      written AS (INSERT INTO test_entry SELECT 'b', nextval('test_seq'), word FROM item) SELECT ord, word FROM item"""
    await run(kits[0], "CREATE SEQUENCE test_seq")
    lane = kits[0].lane(statement(sql))
    answers = await asyncio.gather(*map(lane.append, ["one", "taken", "two"]), return_exceptions=True)
    assert answers[::2] == ["one", "two"]
    assert isinstance(answers[1], Unavailable)
    assert "too much contention" in str(answers[1])
    assert [word for _, word in await stored(kits[0], "b")] == ["one", "two"]


async def test_a_deadlock_is_run_again(kits: tuple[Corekit, Corekit]) -> None:
    """Each locks its word first and the other's a moment later."""
    await run(kits[0], "CREATE TABLE test_pair (word TEXT PRIMARY KEY)")
    await run(kits[0], "INSERT INTO test_pair VALUES ('a'), ('b')")
    sql = """
      WITH mine AS MATERIALIZED (SELECT p.word FROM test_pair p WHERE p.word = ANY($1::text[]) FOR UPDATE),
      pause AS MATERIALIZED (SELECT pg_sleep(0.3) FROM mine),
      rest AS MATERIALIZED (SELECT p.word FROM test_pair p, pause FOR UPDATE OF p)
      SELECT 1::bigint, count(*) FROM rest"""
    spec = statement(sql)
    async with asyncio.timeout(30):
        assert await asyncio.gather(kits[0].lane(spec).append("a"), kits[1].lane(spec).append("b")) == [2, 2]


async def test_a_room_that_somebody_holds_does_not_hold_the_others_up(kits: tuple[Corekit, Corekit]) -> None:
    lane = kits[0].lane(WRITE)
    async with kits[1].database.engine().begin() as holder:
        await holder.execute(text("SELECT 1 FROM test_room WHERE name = 'a' FOR UPDATE"))
        sending = [
            asyncio.create_task(lane.append(Entry(room, f"{room}{number}"))) for number in range(3) for room in "ab"
        ]
        answers = await asyncio.gather(*sending, return_exceptions=True)
    assert answers[1::2] == [1, 2, 3]
    assert all(isinstance(answer, Unavailable) for answer in answers[::2])
    assert await lane.append(Entry("a", "later")) == 1


async def test_a_lost_connection_is_unavailable_and_the_next_item_gets_a_new_one(kits: tuple[Corekit, Corekit]) -> None:
    cut = kits[0].lane(statement("SELECT 1::bigint, pg_terminate_backend(pg_backend_pid()) FROM unnest($1::text[])"))
    with pytest.raises(Unavailable, match="did not take the write"):
        await cut.append("")
    lane = kits[0].lane(WRITE)
    assert [await lane.append(Entry(room, room)) for room in "ab"] == [1, 1]


async def test_a_connection_that_is_lost_while_nobody_sends_costs_nobody_an_error(
    kits: tuple[Corekit, Corekit],
) -> None:
    lane = kits[0].lane(WRITE)
    await lane.append(Entry("a", "one"))
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    await run(kits[0], f"SELECT pg_terminate_backend(pid) {others}")  # constants
    await asyncio.sleep(0.1)
    assert await asyncio.gather(*(lane.append(Entry(room, f"{room} two")) for room in "ab")) == [2, 1]


async def test_a_pump_that_is_ended_answers(kits: tuple[Corekit, Corekit]) -> None:
    slow = kits[0].lane(statement("SELECT 1::bigint, pg_sleep(5) FROM unnest($1::text[])"))
    tasks = [asyncio.create_task(slow.append(word)) for word in ("one", "two")]
    await asyncio.sleep(0.1)
    for task in asyncio.all_tasks():
        if task.get_name() == "corekit-micro-batch":
            task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert await kits[0].lane(WRITE).append(Entry("a", "x")) == 1


async def test_a_fault_is_the_items_own(kits: tuple[Corekit, Corekit]) -> None:
    """A value that no parameter takes, a text that PostgreSQL cannot store, a statement without a row for it."""
    lane = kits[0].lane(WRITE)
    items = [Entry("a", "one"), Entry("a", 2), Entry("a", "nul\0"), Entry("a", "two")]  # type: ignore[arg-type]
    answers = await asyncio.gather(*map(lane.append, items), return_exceptions=True)
    assert answers[::3] == [1, 2]
    assert isinstance(answers[1], asyncpg.DataError)
    assert isinstance(answers[2], asyncpg.CharacterNotInRepertoireError)
    with pytest.raises(LookupError, match="no row for an item"):
        await kits[0].lane(statement("SELECT 7::bigint, word FROM unnest($1::text[]) AS item(word)")).append("x")
    with pytest.raises(asyncpg.UndefinedTableError):
        await kits[0].lane(statement("SELECT 1, word FROM nowhere WHERE word = ANY($1::text[])")).append("x")
