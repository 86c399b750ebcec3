"""SQLite's driver: what travels together, and what is open when somebody is cancelled."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from corekit.data import one_hop
from corekit.data.one_hop import OneHopConnection


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncGenerator[OneHopConnection]:
    async with one_hop.connect(str(tmp_path / "x.db"), isolation_level=None) as connection:
        await run(connection, "CREATE TABLE t (n INTEGER)")
        yield connection


async def run(connection: OneHopConnection, statement: str, *parameters: int) -> list[tuple[int, ...]]:
    async with connection.cursor() as cursor:
        await cursor.execute(statement, parameters)
        rows: list[tuple[int, ...]] = await cursor.fetchall()
        return rows


async def count(connection: OneHopConnection) -> int:
    return (await run(connection, "SELECT count(*) FROM t"))[0][0]


async def test_a_transaction_begins_with_its_first_statement(connection: OneHopConnection) -> None:
    connection.begin("BEGIN IMMEDIATE")
    assert not connection.in_transaction
    await connection.commit()
    connection.begin("BEGIN IMMEDIATE")
    await run(connection, "INSERT INTO t VALUES (?)", 1)
    assert connection.in_transaction
    await connection.rollback()
    assert await count(connection) == 0
    assert not connection.in_transaction


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (2, 2)])
async def test_a_commit_counts_only_if_what_was_demanded_holds(connection: OneHopConnection, n: int, kept: int) -> None:
    await run(connection, "INSERT INTO t VALUES (1)")
    connection.begin("BEGIN IMMEDIATE")
    await run(connection, "INSERT INTO t VALUES (3)")
    connection.demand_at_commit("DELETE FROM t WHERE n = ?", (n,), LookupError())
    if n == 1:
        await connection.commit()
    else:
        with pytest.raises(LookupError):
            await connection.commit()
    assert not connection.in_transaction
    assert await run(connection, "SELECT n FROM t") == [(3,)] if n == 1 else [(1,)]
    await connection.commit()  # the demand was for one commit


async def test_what_was_demanded_of_a_transaction_ends_with_it(connection: OneHopConnection) -> None:
    connection.begin("BEGIN IMMEDIATE")
    await run(connection, "INSERT INTO t VALUES (1)")
    connection.demand_at_commit("DELETE FROM t WHERE n = ?", (7,), LookupError())
    await connection.rollback()
    connection.begin("BEGIN IMMEDIATE")
    await run(connection, "INSERT INTO t VALUES (1)")
    await connection.commit()
    assert await count(connection) == 1


async def test_who_is_cancelled_in_a_statement_leaves_nothing_open(connection: OneHopConnection) -> None:
    await connection.create_function("wait", 0, lambda: time.sleep(0.2))
    connection.begin("BEGIN IMMEDIATE")
    task = asyncio.create_task(run(connection, "INSERT INTO t VALUES (wait())"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.rollback()
    assert not connection.in_transaction
    assert await count(connection) == 0


async def test_rows_come_as_from_any_cursor(connection: OneHopConnection) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(5)])
        assert cursor.rowcount == 5
        await cursor.execute("SELECT n FROM t ORDER BY n")
        assert await cursor.fetchone() == (0,)
        assert await cursor.fetchmany(2) == [(1,), (2,)]
        assert await cursor.fetchall() == [(3,), (4,)]
        assert await cursor.fetchone() is None
        with pytest.raises(sqlite3.OperationalError):
            await cursor.execute("SELECT nothing FROM t")
