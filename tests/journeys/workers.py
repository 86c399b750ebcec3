"""A server of several workers, for journeys."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import msgspec
import pytest
from people import Person
from server import Server
from websockets.asyncio.client import ClientConnection, connect

from corekit.data import DatabaseSettings


@contextmanager
def serving(
    count: int, launch: Callable[..., Server], database: DatabaseSettings, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """Give a server that is up, joined by Valkey on SQLite and by PostgreSQL itself otherwise."""
    settings = {
        "COREKIT_KIT__WORKERS": str(count),
        "COREKIT_CHAT__LIMITS": "false",
        "COREKIT_REALTIME__BUS_PREFIX": uuid4().hex,
    }
    if (database.url or "").startswith("sqlite"):
        settings["COREKIT_REDIS__URL"] = request.getfixturevalue("valkey_url")
    server = launch(**settings)
    server.start()
    wait(lambda: len(server.workers()) == count)
    yield server
    assert server.tracebacks() == []


def wait(done: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait until this has happened."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "this did not happen in time"
        time.sleep(0.05)


async def subscribed(server: Server, person: Person, channel: str) -> ClientConnection:
    """Connect and subscribe."""
    wire = await connect(server.socket, proxy=None)
    for number, command in enumerate(
        ({"connect": {"token": person.access_token}}, {"subscribe": {"channel": channel}})
    ):
        await wire.send(msgspec.json.encode({"id": number + 1, **command}).decode())
        answer = msgspec.json.decode(await wire.recv())
        assert "error" not in answer, answer
    return wire
