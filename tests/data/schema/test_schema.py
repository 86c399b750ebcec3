"""Migrations: every branch up, down and up again on both databases, and no drift between them and the models."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from branches import execute
from sqlalchemy import Connection, inspect, text

from corekit import Corekit
from corekit.assembly import discover
from corekit.data import Base, DatabaseSettings
from corekit.data.migrating import alone
from corekit.data.schema import VERSION_TABLE
from corekit.errors import SchemaError
from corekit.settings import Config


@pytest.fixture
async def kit(database_url: str, tmp_path: Path) -> AsyncGenerator[Corekit]:
    """Make a kit of all installed plugins and open its database, without starting it."""
    kit = made(database_url, tmp_path)
    async with kit.database:
        yield kit


def made(url: str, folder: Path, names: list[str] | None = None, env: str = "dev", **kit: Any) -> Corekit:
    config = Config.load(environ={}, env=env, overrides={"kit": {"data_dir": str(folder), **kit}})
    return Corekit(discover(names), database=url, config=config)


async def tables(kit: Corekit) -> set[str]:
    async with kit.database.engine().connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def branches(kit: Corekit) -> set[str]:
    return {"core"} | {plugin.name for plugin in kit.plugins if plugin.migrations}


async def test_up_is_complete_and_nothing_the_second_time(kit: Corekit) -> None:
    before = await kit.schema.status()
    assert all(current is None for current, _ in before.branches.values())
    assert before.pending
    after = await kit.schema.up()
    assert set(after.branches) == branches(kit)
    assert (after.pending, after.unknown) == ((), ())
    assert await kit.schema.up() == await kit.schema.status() == after
    await kit.schema.demand_current()


async def test_every_branch_goes_down_and_up_again(kit: Corekit) -> None:
    await kit.schema.up()
    full = await tables(kit)
    for name in sorted(branches(kit) - {"core"}):
        status = await kit.schema.down(f"{name}@base")
        assert status.pending == (status.branches[name][1],)
        assert status.branches[name][0] is None
        assert await tables(kit) == {table for table in full if not table.startswith(f"{name}_")}
        await kit.schema.up()
        assert await tables(kit) == full
    await kit.schema.down("core@base", dependants=True)
    assert await tables(kit) == {VERSION_TABLE}
    await kit.schema.up()
    assert await tables(kit) == full


async def test_models_and_database_do_not_drift(kit: Corekit) -> None:
    await kit.schema.up()

    assert await kit.schema.check() == []


async def test_drift_is_named_and_strangers_are_left_alone(kit: Corekit) -> None:
    await kit.schema.up()
    for statement in (
        "DROP INDEX ix_corekit_job_leased",
        "ALTER TABLE auth_failures ADD COLUMN extra integer",
        "CREATE TABLE chat_old (id integer CONSTRAINT pk_chat_old PRIMARY KEY)",
        "CREATE TABLE django_site (id integer PRIMARY KEY)",
        "CREATE TABLE chatter (id integer PRIMARY KEY)",
    ):
        await execute(kit.database, statement)
    assert sorted(await kit.schema.check()) == [
        "drift: auth_failures.extra: only in the database (remove column)",
        "drift: chat_old: only in the database (remove table)",
        "drift: corekit_job.ix_corekit_job_leased: the models say add index",
    ]
    small = made(kit.database.url.render_as_string(hide_password=False), kit.database.data_dir, [])
    async with small.database:
        assert await small.schema.check() == ["drift: corekit_job.ix_corekit_job_leased: the models say add index"]


async def test_every_constraint_and_index_has_a_name(kit: Corekit) -> None:
    await kit.schema.up()

    def unnamed(connection: Connection) -> list[str]:
        found = inspect(connection)
        return [
            f"{table}: {thing}"
            for table in found.get_table_names()
            if table != VERSION_TABLE
            for thing in (
                *found.get_unique_constraints(table),
                *found.get_foreign_keys(table),
                *found.get_check_constraints(table),
                found.get_pk_constraint(table),
            )
            if not thing["name"]
        ]

    async with kit.database.engine().connect() as connection:
        assert await connection.run_sync(unnamed) == []


async def test_a_plugin_installed_later_adds_its_branch(database_url: str, tmp_path: Path) -> None:
    small = made(database_url, tmp_path, [])
    async with small.database:
        assert set((await small.schema.up()).branches) == {"core"}
    whole = made(database_url, tmp_path)
    async with whole.database:
        assert "core_0006" not in (await whole.schema.status()).pending
        assert not (await whole.schema.up()).pending


async def test_a_database_that_is_newer_than_the_code_is_refused(kit: Corekit) -> None:
    await kit.schema.up()
    async with kit.database.engine().begin() as connection:
        await connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('chat_0099')"))  # noqa: S608  # a constant
    assert (await kit.schema.status()).unknown == ("chat_0099",)
    with pytest.raises(SchemaError, match=r"revisions that this code does not know: chat_0099; it is newer"):
        await kit.schema.up()
    with pytest.raises(SchemaError, match="chat_0099"):
        await kit.schema.demand_current()
    second = made(kit.database.url.render_as_string(hide_password=False), kit.database.data_dir)
    with pytest.raises(SchemaError, match="chat_0099"):
        await second.__aenter__()
    assert not second.started


async def test_pending_revisions_are_applied_in_dev_only(database: DatabaseSettings, tmp_path: Path) -> None:
    keys = {"active": "k", "keys": {"k": "A" * 43}, "index": "A" * 43}
    config = Config.load(environ={}, env="prod", overrides={"keyring": keys})
    prod = Corekit([], database=database, config=config, data_dir=tmp_path)
    with pytest.raises(SchemaError, match="pending migrations: core_0006; run `corekit migrate up` first"):
        await prod.__aenter__()
    async with Corekit([], database=database, data_dir=tmp_path):
        pass
    async with prod:
        assert prod.started


async def test_kits_of_one_process_migrate_at_once(database_url: str, tmp_path: Path) -> None:
    """Alembic's own state is one per process, so they wait for each other."""

    async def start(url: str, names: list[str] | None) -> set[str]:
        kit = made(url, tmp_path, names)
        async with kit.database:
            await kit.schema.up()
            return await tables(kit)

    urls = [database_url, *(f"sqlite:///{tmp_path / name}.db" for name in ("one", "two", "three"))]
    whole, also, small, little = await asyncio.gather(
        start(urls[0], None), start(urls[1], None), start(urls[2], []), start(urls[3], [])
    )
    assert whole == also > small == little
    assert small == {VERSION_TABLE, *(name for name in Base.metadata.tables if name.startswith("corekit_"))}


MIGRATE = [sys.executable, "-m", "corekit", "migrate", "up"]


async def test_processes_migrate_at_once(database_url: str, tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    racers = [
        await asyncio.create_subprocess_exec(
            *MIGRATE, "--database", database_url, "--data-dir", str(tmp_path), stdout=pipe, stderr=pipe
        )
        for _ in range(2)
    ]
    said = await asyncio.gather(*(racer.communicate() for racer in racers))
    assert [racer.returncode for racer in racers] == [0, 0], said
    kit = made(database_url, tmp_path)
    async with kit.database:
        assert not (await kit.schema.status()).pending


async def test_a_replica_that_waits_does_not_hold_up_what_it_waits_for(postgres_url: str, tmp_path: Path) -> None:
    """An index is made concurrently once every statement from before is over: to wait must not be one."""
    kit = made(postgres_url, tmp_path)
    command = [*MIGRATE, "--database", postgres_url, "--data-dir", str(tmp_path)]
    asks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%' AND pid != pg_backend_pid()"
    async with kit.database:
        await kit.schema.up()
        async with alone(kit.database) as connection:
            waiter = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            for _ in range(300):
                if (await connection.exec_driver_sql(asks)).scalar():
                    break
                await connection.rollback()
                await asyncio.sleep(0.1)
            await connection.rollback()
            own = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await own.exec_driver_sql("CREATE INDEX CONCURRENTLY ix_test ON corekit_job (tag)")
            assert waiter.returncode is None
        assert await waiter.wait() == 0


async def test_a_migration_waits_for_a_writer_of_another_process(tmp_path: Path) -> None:
    """SQLite has one writer; the others' patience of five seconds is not enough for a migration."""
    kit = made(f"sqlite:///{tmp_path / 'test.db'}", tmp_path, [])
    async with kit.database:
        await kit.schema.status()
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(kit.schema.up())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        other.execute("COMMIT")
        other.close()
        assert not (await waiting).pending


async def test_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    command = [*MIGRATE, "--database", f"sqlite:///{tmp_path / 'test.db'}", "--data-dir", str(tmp_path)]
    waiter = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiter.wait(), 3)
    other.execute("COMMIT")
    other.close()
    assert await waiter.wait() == 0
