"""Two rooms to write into, on each database."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from corekit import Corekit
from corekit.data import DatabaseSettings

sys.path.insert(0, str(Path(__file__).parent))

from rooms import rooms  # beside this file


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Corekit]:
    """Start a kit with two rooms."""
    async with rooms(database, tmp_path) as kit:
        yield kit
