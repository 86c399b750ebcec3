"""What a connection is told: where the data lives, and what it hears first."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from corekit.errors import ConfigError
from corekit.settings import Settings

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class SqliteSettings(Settings, frozen=True):
    """`[database] sqlite`: durability and pool size."""

    synchronous: Literal["full", "normal"] = "full"
    readers: int = 4


class DatabaseSettings(Settings, frozen=True):
    """`[database]`: where the data lives; without `url`, one SQLite file in the data directory.

    On PostgreSQL migrations run as `owner_url` and elevated work as `service_url`, where these are set. `direct_url`
    leads around a pooler such as PgBouncer, with the rights of `service_url`: LISTEN needs a session of its own.
    """

    url: str = ""
    owner_url: str = ""
    service_url: str = ""
    direct_url: str = ""
    schema: str = "public"
    pool: int = 10
    writer_hold_warn_ms: int = 500
    writer_hold_max_ms: int = 10_000
    sqlite: SqliteSettings = SqliteSettings()


def pragmas(settings: SqliteSettings, *, readonly: bool = False) -> list[str]:
    """List what every SQLite connection is told first."""
    statements = [
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={settings.synchronous.upper()}",
        "PRAGMA foreign_keys=ON",
        "PRAGMA recursive_triggers=ON",
        "PRAGMA busy_timeout=5000",
        "PRAGMA trusted_schema=OFF",
        "PRAGMA temp_store=MEMORY",
        "PRAGMA cache_size=-65536",
        "PRAGMA wal_autocheckpoint=8000",
        f"PRAGMA journal_size_limit={64 << 20}",
    ]
    return [*statements, "PRAGMA query_only=ON"] if readonly else statements


def server_settings(settings: DatabaseSettings) -> dict[str, str]:
    """List what every PostgreSQL connection is told first."""
    return {
        "application_name": "corekit",
        "search_path": settings.schema,
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        "synchronous_commit": "on",
    }


def database_url(url: str) -> URL:
    """Read a database URL, with the driver that corekit uses.

    Raises:
        ConfigError: it is none, or of a database that is not supported.

    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("[database] url is not a database URL: sqlite:///PATH or postgresql://…") from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise ConfigError(f"[database] url: {parsed.get_backend_name()!r} is not supported; use sqlite or postgresql")
    if driver.startswith("sqlite") and parsed.database in {None, "", ":memory:"}:
        raise ConfigError("[database] url: SQLite needs a file; in memory, connections would share uncommitted rows")
    if "sslmode" in parsed.query:  # libpq's name; the driver calls it ssl
        parsed = parsed.update_query_dict({"ssl": parsed.query["sslmode"]}).difference_update_query(["sslmode"])
    return parsed.set(drivername=driver)


def libpq_url(url: URL) -> str:
    """Write a PostgreSQL URL as everything but SQLAlchemy reads it."""
    if "ssl" in url.query:
        url = url.update_query_dict({"sslmode": url.query["ssl"]}).difference_update_query(["ssl"])
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def prepare_file(path: Path) -> None:
    """Create the file and its folder, readable by the owner alone; SQLite gives -wal and -shm the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        _demand_wal(path)
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}") from None


def _demand_wal(path: Path) -> None:
    """Switch the file to WAL; of processes that do so at once, SQLite turns all but one away without waiting."""
    for left in reversed(range(50)):
        with closing(sqlite3.connect(path)) as connection:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if not left:
                    raise
                time.sleep(0.1)
            except sqlite3.DatabaseError:  # no database: the first statement will say so
                return
            else:
                return
