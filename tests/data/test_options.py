"""Where the data lives, and what a connection is told first."""

import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from corekit import Actor, Corekit
from corekit.data import Database, DatabaseSettings
from corekit.data.options import database_url, libpq_url
from corekit.errors import ConfigError
from corekit.testing import make_kit


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "is not a database URL"),
        ("mysql://db/app", "'mysql' is not supported"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        database_url(url)


def test_urls_name_their_database_and_corekit_the_driver() -> None:
    for url in ("postgres://a:b@db/app", "postgresql://a:b@db/app", "postgresql+asyncpg://a:b@db/app"):
        assert database_url(url) == make_url("postgresql+asyncpg://a:b@db/app")
        assert libpq_url(database_url(url)) == "postgresql://a:b@db/app"


def test_sslmode_is_spoken_as_each_reader_wants_it() -> None:
    read = database_url("postgresql://db/app?sslmode=require&host=/run")
    assert dict(read.query) == {"ssl": "require", "host": "/run"}
    assert make_url(libpq_url(read)).query == {"sslmode": "require", "host": "/run"}


async def test_a_kit_connects_with_sslmode(postgres_url: str, tmp_path: Path) -> None:
    url = make_url(postgres_url).update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False)
    async with make_kit(database=url, tmp_path=tmp_path) as kit, kit.context(Actor("alice")) as ctx:
        assert await ctx.session.scalar(text("SELECT 1")) == 1


def test_the_default_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    assert Database(DatabaseSettings(), tmp_path).path == tmp_path / "corekit.db"


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with make_kit(tmp_path=tmp_path) as kit, kit.context(Actor("alice")) as ctx:
        await ctx.session.execute(text("SELECT 1"))
        assert modes(tmp_path) == {"corekit.db": 0o600, "corekit.db-wal": 0o600, "corekit.db-shm": 0o600}


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("corekit.db*")}


async def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*corekit\.db"):
        await Database(DatabaseSettings(), tmp_path / "file").start()


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize("elevated", [True, False])
async def test_every_sqlite_connection_hears_its_pragmas(tmp_path: Path, readonly: bool, elevated: bool) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "busy_timeout": 5000,
        "trusted_schema": 0,
        "query_only": int(readonly),
    }
    async with make_kit(tmp_path=tmp_path) as kit:
        caller = kit.caller().system("corekit.jobs") if elevated else kit.caller()
        async with caller.begin(readonly=readonly) as ctx:
            connection = await ctx.session.connection()
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_authorizer(None)  # which lets nobody ask
            heard = {name: await ctx.session.scalar(text(f"PRAGMA {name}")) for name in expected}
    assert heard == expected


async def test_every_postgresql_connection_hears_its_settings(postgres_url: str, tmp_path: Path) -> None:
    expected = {
        "application_name": "corekit",
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "1min",
        "jit": "off",
        "synchronous_commit": "on",
    }
    async with make_kit(database=postgres_url, tmp_path=tmp_path) as kit:
        for caller in (kit.caller(), kit.caller().system("corekit.jobs")):
            async with caller.begin() as ctx:
                heard = {name: await ctx.session.scalar(text(f"SHOW {name}")) for name in expected}
            assert heard == expected


async def test_what_fails_does_not_tell_its_parameters(database: DatabaseSettings, tmp_path: Path) -> None:
    """An error's text reaches logs and the job table."""
    async with make_kit(database=database, tmp_path=tmp_path) as kit:
        for caller in (kit.caller(), kit.caller().system("corekit.jobs")):
            async with caller.begin(readonly=True) as ctx:
                with pytest.raises(Exception, match="nowhere") as caught:
                    await ctx.session.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "hunter2"})
            assert "hunter2" not in str(caught.value)


async def test_a_writer_that_holds_the_slot_long_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = DatabaseSettings(writer_hold_warn_ms=0)
    kit = Corekit([], database=settings, data_dir=tmp_path)
    async with kit, kit.context(Actor("alice")) as ctx:
        await ctx.session.execute(text("SELECT 1"))
    assert "writer_slot_held_long" in caplog.text
