"""A served kit, killed at the end whatever happened."""

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

    def make(**settings: str) -> Server:
        server = Server(tmp_path, {**roles, **settings})
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
