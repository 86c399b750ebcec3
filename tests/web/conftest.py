"""A served site with routes of every kind."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from web_site import served  # beside this file

from corekit.data import DatabaseSettings


@pytest.fixture
async def http(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the site, for what is the same on every database."""
    async with served(tmp_path) as client:
        yield client


@pytest.fixture
async def stored(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the site on each database."""
    async with served(tmp_path, database) as client:
        yield client
