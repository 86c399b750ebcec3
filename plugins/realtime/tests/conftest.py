"""A served kit with the gateway and a town, on both ways of getting bytes out and in both codecs."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from realtime_beside import BesideCentrifugo, beside  # beside this file
from realtime_nodes import Broker, Join, Nodes, joining
from realtime_town import Serve, Served, TownPlugin

from corekit.testing import FakeClock, PostgresServer, make_kit, serve
from corekit_realtime import RealtimePlugin, RealtimeSettings

WRITE_PATHS = {"transport": "corekit.web.uvicorn:Protocol", "fallback": "websockets-sansio"}


@pytest.fixture(params=list(WRITE_PATHS))
def write_path(request: pytest.FixtureRequest) -> str:
    """Serve with the transport in the scope, and without it."""
    return WRITE_PATHS[request.param]


@pytest.fixture(params=["transport-json", "fallback-json", "transport-protobuf"])
def served(request: pytest.FixtureRequest, clock: FakeClock) -> Serve:
    """Give a way to serve a town with other settings of the gateway; its clients speak one codec."""
    way, _, codec = request.param.partition("-")
    return serving(WRITE_PATHS[way], clock, codec)


@pytest.fixture
def served_json(write_path: str, clock: FakeClock) -> Serve:
    """The same for tests that write JSON themselves."""
    return serving(write_path, clock)


@pytest.fixture
def served_once(clock: FakeClock) -> Serve:
    """The same, where the way out does not matter."""
    return serving(WRITE_PATHS["transport"], clock)


def serving(ws: str, clock: FakeClock, codec: str = "json") -> Serve:
    @asynccontextmanager
    async def start(**settings: Any) -> AsyncGenerator[Served]:
        town = TownPlugin()
        realtime = RealtimePlugin(RealtimeSettings(**settings))
        async with (
            make_kit([realtime, town], clock=clock, settings={"jobs": {"poll": 0.05}}) as kit,
            serve(kit, ws=ws, ws_max_size=65_536, ws_ping_interval=None) as url,
            AsyncExitStack() as stack,
        ):
            assert realtime._node is not None
            yield Served(url, kit, town, realtime._node, clock, stack, codec)

    return start


@pytest.fixture
def by_centrifugo(clock: FakeClock) -> BesideCentrifugo:
    """Give a way to serve a town beside a stand-in of Centrifugo."""
    return partial(beside, clock)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker | None:
    """Give the broker of this name; the memory needs none."""
    if request.param == "memory":
        return None
    if request.param != "postgresql":
        return Broker(request.getfixturevalue({"redis": "valkey_url", "nats": "nats_url"}[request.param]))
    server: PostgresServer = request.getfixturevalue("postgres")
    settings = asyncio.run(server.settings(request.getfixturevalue("postgres_url")))
    return Broker(settings.service_url, settings)


@pytest.fixture
def joined(broker: Broker | None, clock: FakeClock) -> Join:
    """Give a way to start nodes on the broker."""
    return joining(broker, clock)


@pytest.fixture
def joined_once(clock: FakeClock) -> Join:
    """The same, where the bus does not matter."""
    return joining(None, clock)


@pytest.fixture
async def pair(joined: Join) -> AsyncGenerator[Nodes]:
    """Give two nodes on the broker."""
    async with joined() as nodes:
        yield nodes
