"""SQLite's group writer: what happens when the database cannot write, and that writing resumes after it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from corekit import Actor, Corekit
from corekit.data import Lane, LaneSpec
from corekit.errors import Conflict, Unavailable
from corekit.testing import make_kit


def put(connection: sqlite3.Connection, word: str) -> int:
    """Store a word; return how many there are."""
    connection.execute("INSERT INTO test_word VALUES (?)", (word,))
    return int(connection.execute("SELECT count(*) FROM test_word").fetchone()[0])


def say(connection: sqlite3.Connection, statement: str) -> int:
    """Run a statement on the writer's own connection."""
    connection.execute(statement)
    return 0


NEVER: Any = None  # the other database's half
PUT = LaneSpec("test.put", put, NEVER)
SAY = LaneSpec("test.say", say, NEVER)


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncGenerator[Corekit]:
    """Start a kit on SQLite whose writer loses patience soon."""
    async with make_kit(tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
        await kit.lane(SAY).append("CREATE TABLE test_word (word TEXT)")
        await kit.lane(SAY).append("PRAGMA busy_timeout = 50")
        yield kit


async def count(kit: Corekit) -> int:
    return int((await asyncio.to_thread(_query, kit.database.path, "SELECT count(*) FROM test_word"))[0])


def _query(path: Path, statement: str) -> tuple[int, ...]:
    connection = sqlite3.connect(path)
    try:
        row: tuple[int, ...] = connection.execute(statement).fetchone()
        return row
    finally:
        connection.close()


async def many(lane: Lane[str, int], number: int, size: int = 1) -> list[int | BaseException]:
    return await asyncio.gather(*(lane.append("x" * size) for _ in range(number)), return_exceptions=True)


async def test_a_full_disk_reaches_everybody_and_writing_resumes(kit: Corekit) -> None:
    await kit.lane(SAY).append("PRAGMA max_page_count = 60")
    answers = await many(kit.lane(PUT), 100, size=10_000)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert isinstance(answers[0], Unavailable)
    assert "full" in str(answers[0].__cause__)
    assert await count(kit) == 0
    await kit.lane(SAY).append("PRAGMA max_page_count = 100000")
    assert await many(kit.lane(PUT), 100, size=10_000) == list(range(1, 101))
    assert await count(kit) == 100


async def test_another_process_that_holds_the_file_reaches_everybody_and_writing_resumes(kit: Corekit) -> None:
    intruder = sqlite3.connect(kit.database.path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    answers = await many(kit.lane(PUT), 20)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len({id(answer) for answer in answers}) == 20, "each caller gets an error of its own"
    intruder.execute("COMMIT")
    intruder.close()
    assert await many(kit.lane(PUT), 3) == [1, 2, 3]


async def test_what_queued_while_one_commit_ran_is_the_next_batch(kit: Corekit) -> None:
    statements: list[str] = []
    inside, free = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection, _: str) -> int:
        connection.set_trace_callback(statements.append)
        inside.set()
        free.wait(5)
        return 0

    first = asyncio.create_task(kit.lane(LaneSpec("test.slow", slow, NEVER)).append(""))
    await asyncio.to_thread(inside.wait, 5)
    rest = asyncio.create_task(many(kit.lane(PUT), 100))
    await asyncio.sleep(0.05)
    assert not rest.done()
    free.set()
    await first
    assert await rest == list(range(1, 101))
    assert statements.count("COMMIT") == 2


async def test_a_batch_waits_for_the_writing_context_and_the_context_for_the_batch(kit: Corekit) -> None:
    lane = kit.lane(PUT)
    order: list[str] = []
    begun = asyncio.Event()

    async def append() -> None:
        await lane.append("x")
        order.append("lane")

    async def write() -> None:
        async with kit.context(Actor("alice")) as ctx:
            await ctx.session.connection()
            order.append("context begins")
            begun.set()
            await asyncio.sleep(0.3)  # longer than the writer waits for other processes
            order.append("context ends")

    context = asyncio.create_task(write())
    await begun.wait()
    await asyncio.gather(append(), context)
    assert order == ["context begins", "context ends", "lane"]


async def test_a_writer_that_dies_answers_and_readiness_tells(kit: Corekit) -> None:
    def die(_: sqlite3.Connection, __: str) -> int:
        raise SystemExit

    assert (await kit.health.ready())[0]
    kit.health.reset()
    answers = await asyncio.gather(
        *(kit.lane(spec).append("x") for spec in (PUT, LaneSpec("test.die", die, NEVER), PUT)), return_exceptions=True
    )
    assert [type(answer) for answer in answers[1:]] == [Unavailable, Unavailable]
    with pytest.raises(Unavailable, match="the writer has died"):
        await kit.lane(PUT).append("x")
    ready, states = await kit.health.ready()
    assert (ready, states["lanes"]) == (False, "down")


async def test_units_that_read_only_before_they_refuse_cost_no_savepoint(kit: Corekit) -> None:
    statements: list[str] = []

    def trace(connection: sqlite3.Connection, _: str) -> int:
        connection.set_trace_callback(statements.append)
        return 0

    def refuse(connection: sqlite3.Connection, word: str) -> int:
        connection.execute("SELECT count(*) FROM test_word")
        raise Conflict(word)

    await kit.lane(LaneSpec("test.trace", trace, NEVER)).append("")
    refusing = kit.lane(LaneSpec("test.refuse", refuse, NEVER))
    answers = await asyncio.gather(
        *(lane.append("x") for _ in range(50) for lane in (kit.lane(PUT), refusing)), return_exceptions=True
    )
    assert answers[::2] == list(range(1, 51))
    assert all(isinstance(answer, Conflict) for answer in answers[1::2])
    assert not [statement for statement in statements if "SAVEPOINT" in statement]
