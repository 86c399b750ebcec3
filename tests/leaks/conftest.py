"""Lets these tests share the modules beside them, and gives each a kit with rows of Bob's and of Alice's."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer

sys.path.insert(0, str(Path(__file__).parent))

from leak_world import World, opened  # found through the line above


@pytest.fixture
async def world(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[World]:
    async with opened(database, tmp_path) as made:
        yield made


@pytest.fixture
async def postgres_world(postgres_url: str, postgres: PostgresServer, tmp_path: Path) -> AsyncGenerator[World]:
    async with opened(await postgres.settings(postgres_url), tmp_path) as made:
        yield made
