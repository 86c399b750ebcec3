"""A served kit, killed at the end whatever happened."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Server  # beside this file


@pytest.fixture
def launch(tmp_path: Path, database_url: str) -> Iterator[Callable[..., Server]]:
    """Give a function that makes a server on the test's database."""
    made: list[Server] = []

    def make(**settings: str) -> Server:
        server = Server(tmp_path, database_url, settings)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
