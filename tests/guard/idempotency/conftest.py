"""A kit with a shop, on each database."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from idempotency_shop import Shop, opened, served  # beside this file

from corekit import Corekit
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def kit(shop: Shop, database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    async with opened(shop, database, tmp_path, clock) as kit:
        yield kit


@pytest.fixture
async def http(kit: Corekit) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the shop to Alice."""
    async with served(kit) as client:
        yield client
