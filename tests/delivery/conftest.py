"""A real SMTP server, and kits that send through it."""

import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from corekit import Corekit
from corekit.testing import FakeClock, make_kit

sys.path.insert(0, str(Path(__file__).parent))

from delivery_server import Inbox, Kits  # found through the line above


@pytest.fixture
async def inbox() -> AsyncGenerator[Inbox]:
    """Run a server without TLS."""
    async with Inbox().running() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Make an authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Write its certificate down."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Give a server's side of TLS, for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def kits(tmp_path: Path, clock: FakeClock) -> Kits:
    """Give a maker of kits that send through a server on this host."""

    @asynccontextmanager
    async def made(inbox: Inbox, *plugins: Any, **settings: Any) -> AsyncGenerator[Corekit]:
        mail = {"host": "127.0.0.1", "port": inbox.port, "tls": "none", "from_address": "app@example.com"}
        tables = {"mail": mail | settings, "jobs": {"worker": False}}
        async with make_kit(plugins, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
            yield kit

    return made
