"""Serves the strict provider beside this folder, and sets it up."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from corekit.testing import FakeClock, serve

sys.path.insert(0, str(Path(__file__).parent.parent))

from provider import StandIn  # found through the line above


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncGenerator[StandIn]:
    """Serve the provider."""
    made = StandIn(clock)
    async with serve(made.app()) as made.url:
        yield made


@pytest.fixture
def extra() -> dict[str, Any]:
    """Give what else stands in `[auth]`; a test sets it with `parametrize`."""
    return {}


@pytest.fixture
def settings(standin: StandIn, extra: dict[str, Any]) -> dict[str, Any]:
    """Set the provider up."""
    provider = {"kind": "oidc", "issuer": standin.url, "client_id": "app", "client_secret": "secret"}
    provider |= {"audiences": ["phone-app"]}
    return {"social": {"acme": provider}, "site_url": "https://app.example.org", **extra}
