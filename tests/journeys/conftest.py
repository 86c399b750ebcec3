"""A served kit, killed at the end whatever happened."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Server  # beside this file

from corekit.data import DatabaseSettings


@pytest.fixture
def launch(tmp_path: Path, database: DatabaseSettings) -> Iterator[Callable[..., Server]]:
    """Give a function that makes a server on the test's database; on PostgreSQL it has a role for each of its parts."""
    made: list[Server] = []
    urls = {"URL": database.url, "OWNER_URL": database.owner_url, "SERVICE_URL": database.service_url}
    roles = {f"COREKIT_DATABASE__{name}": url for name, url in urls.items() if url}

    def make(*, clock: Path | None = None, **settings: str) -> Server:
        server = Server(tmp_path, {**roles, **settings}, clock=clock)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def clients() -> Path:
    """Install the clients once."""
    folder = Path(__file__).parent / "clients"
    if not (folder / "node_modules").is_dir():
        if shutil.which("npm") is None and not os.environ.get("CI"):
            pytest.skip("npm is not installed; CI has it")
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=folder, check=True, timeout=300)
    return folder
