"""A kit beside tables with encrypted columns."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from corekit import Corekit
from corekit.data import DatabaseSettings

sys.path.insert(0, str(Path(__file__).parent))

from crypto_rows import vault  # beside this file


@pytest.fixture
async def cards(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Corekit]:
    """Start a kit with the tables, on each database."""
    async with vault(database, tmp_path) as kit:
        yield kit
