"""A served kit, killed at the end whatever happened."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Server  # beside this file

from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer

Launch = Callable[..., Server]


@pytest.fixture
def launch(tmp_path: Path, database: DatabaseSettings) -> Iterator[Launch]:
    """Give a function that makes a server on the test's database; on PostgreSQL it has a role for each of its parts."""
    with launching(tmp_path, database) as make:
        yield make


@pytest.fixture
def postgres_database(postgres: PostgresServer, postgres_url: str) -> DatabaseSettings:
    """Make an empty database on PostgreSQL, and say how each part of a kit reaches it."""
    return asyncio.run(postgres.settings(postgres_url))


@pytest.fixture
def launch_together(tmp_path: Path, postgres_database: DatabaseSettings) -> Iterator[Launch]:
    """The same for servers that share a database, which is PostgreSQL."""
    with launching(tmp_path, postgres_database) as make:
        yield make


@contextmanager
def launching(folder: Path, database: DatabaseSettings) -> Iterator[Launch]:
    """Give a function that makes servers; all are killed at the end."""
    made: list[Server] = []
    urls = {"URL": database.url, "OWNER_URL": database.owner_url, "SERVICE_URL": database.service_url}
    roles = {f"COREKIT_DATABASE__{name}": url for name, url in urls.items() if url}

    def make(*, clock: Path | None = None, **settings: str) -> Server:
        server = Server(folder, {**roles, **settings}, clock=clock)
        made.append(server)
        return server

    try:
        yield make
    finally:
        for server in made:
            server.kill()


@pytest.fixture(scope="session")
def clients() -> Path:
    """Install the clients once, and again when the list of them has changed."""
    folder = Path(__file__).parent / "clients"
    wanted, installed = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process of the tests installs for all
        if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
            if shutil.which("npm") is None and not os.environ.get("CI"):
                pytest.skip("npm is not installed; CI has it")
            subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=folder, check=True, timeout=300)
    return folder
