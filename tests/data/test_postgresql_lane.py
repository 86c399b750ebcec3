"""PostgreSQL's lanes: a lost race is run again, and what only looks like one ends."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from corekit import Corekit
from corekit.data import LaneSpec
from corekit.data.lanes.postgresql import REPLAYS
from corekit.errors import Unavailable
from corekit.testing import make_kit


@pytest.fixture
async def kits(postgres_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Corekit, Corekit]]:
    """Start two kits, as two processes would, on one database."""
    settings = {"jobs": {"worker": False}}
    async with (
        make_kit(database=postgres_url, tmp_path=tmp_path, settings=settings) as one,
        make_kit(database=postgres_url, tmp_path=tmp_path, settings=settings) as other,
    ):
        async with one.database.engine().begin() as connection:
            await connection.execute(text("CREATE TABLE test_word (id SERIAL PRIMARY KEY, word TEXT UNIQUE)"))
            await connection.execute(text("INSERT INTO test_word (word) VALUES ('a'), ('b')"))
        yield one, other


def never(_: object, __: str) -> int:
    raise NotImplementedError


async def put(connection: Any, word: str) -> int:
    """Store a word once: look first, then insert."""
    found = await connection.fetchval("SELECT id FROM test_word WHERE word = $1", word)
    return int(found or await connection.fetchval("INSERT INTO test_word (word) VALUES ($1) RETURNING id", word))


async def test_who_loses_the_race_for_a_key_runs_again_and_finds_it(kits: tuple[Corekit, Corekit]) -> None:
    looked = asyncio.Barrier(2)
    runs: list[str] = []

    async def race(connection: Any, word: str) -> int:
        first = len(runs) < 2
        runs.append(word)
        found = await connection.fetchval("SELECT id FROM test_word WHERE word = $1", word)
        if first:
            await looked.wait()  # both have seen nothing
        return int(found or await connection.fetchval("INSERT INTO test_word (word) VALUES ($1) RETURNING id", word))

    spec = LaneSpec("test.race", never, race)
    one, other = await asyncio.gather(*(kit.lane(spec).append("new") for kit in kits))
    assert one == other
    assert len(runs) == 3


async def test_many_keys_on_two_processes(kits: tuple[Corekit, Corekit]) -> None:
    spec = LaneSpec("test.put", never, put, key=lambda word: word)
    words = [str(number) for number in range(50)] * 2
    answers = await asyncio.gather(*(kit.lane(spec).append(word) for word in words for kit in kits))
    assert len(set(answers)) == 50


async def test_a_deadlock_is_run_again(kits: tuple[Corekit, Corekit]) -> None:
    met = asyncio.Barrier(2)
    runs: list[str] = []

    async def swap(connection: Any, words: str) -> int:
        runs.append(words)
        await connection.execute("UPDATE test_word SET word = word WHERE word = $1", words[0])
        if len(runs) <= 2:
            await met.wait()  # each holds what the other wants next
        await connection.execute("UPDATE test_word SET word = word WHERE word = $1", words[1])
        return len(runs)

    spec = LaneSpec("test.swap", never, swap)
    await asyncio.gather(kits[0].lane(spec).append("ab"), kits[1].lane(spec).append("ba"))
    assert len(runs) > 2


async def test_a_race_that_never_ends_is_unavailable(kits: tuple[Corekit, Corekit]) -> None:
    runs: list[str] = []

    async def lose(connection: Any, word: str) -> int:
        runs.append(word)
        await connection.execute("INSERT INTO test_word (word) VALUES ($1)", word)
        return 0

    with pytest.raises(Unavailable, match="too much contention"):
        await kits[0].lane(LaneSpec("test.lose", never, lose)).append("a")
    assert len(runs) == REPLAYS


async def test_a_lost_connection_is_unavailable_and_the_next_item_gets_a_new_one(kits: tuple[Corekit, Corekit]) -> None:
    async def cut(connection: Any, _: str) -> int:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return 0

    with pytest.raises(Unavailable, match="did not take the write"):
        await kits[0].lane(LaneSpec("test.cut", never, cut)).append("")
    assert await kits[0].lane(LaneSpec("test.put", never, put)).append("a") == 1


async def test_a_value_that_cannot_be_sent_is_the_items_own_fault(kits: tuple[Corekit, Corekit]) -> None:
    async def wrong(connection: Any, word: str) -> int:
        return int(await connection.fetchval("SELECT $1::bigint", word))

    with pytest.raises(asyncpg.DataError, match="invalid input for query argument"):
        await kits[0].lane(LaneSpec("test.wrong", never, wrong)).append("x")
    with pytest.raises(asyncpg.UndefinedTableError):
        await (
            kits[0].lane(LaneSpec("test.none", never, lambda connection, _: connection.fetchval("TABLE no"))).append("")
        )
