"""Presence over two served processes, one of which is killed: its clients are gone after its silence."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from people import Person, group, sign_up
from server import Server
from websockets.asyncio.client import ClientConnection, connect

from corekit.values import typeid

DIGEST = 0.5
SILENCE = 3 * DIGEST
SETTINGS = {
    "COREKIT_CHAT__LIMITS": "false",
    "COREKIT_REALTIME__PRESENCE_DIGEST": str(DIGEST),
    "COREKIT_REALTIME__LEAVE_DELAY": "60",
}
Launch = Callable[..., Server]


def usr(person: Person) -> str:
    """Write a person's id as the wire does."""
    return typeid("usr", UUID(person.id))


@pytest.fixture
async def stack() -> AsyncGenerator[AsyncExitStack]:
    """Close at the end what a test has opened."""
    async with AsyncExitStack() as found:
        yield found


class Device:
    """One connection, which hears who comes and goes."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self.pushes: list[dict[str, Any]] = []
        self.client = ""

    @classmethod
    async def open(cls, stack: AsyncExitStack, server: Server, person: Person, channel: str) -> "Device":
        """Connect and subscribe."""
        device = cls(await stack.enter_async_context(connect(server.socket, proxy=None)))
        device.client = (await device.ask(connect={"token": person.access_token}))["connect"]["client"]
        assert "subscribe" in await device.ask(subscribe={"channel": channel, "join_leave": True})
        return device

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send one command; return its answer."""
        await self._wire.send(msgspec.json.encode({"id": 1, **command}).decode())
        return await self._next(lambda reply: reply.get("id") == 1)

    async def told(self, what: str, client: str) -> None:
        """Wait until it has been told that somebody came, or went."""
        if not any(push.get(what, {}).get("info", {}).get("client") == client for push in self.pushes):
            await self._next(lambda reply: reply.get("push", {}).get(what, {}).get("info", {}).get("client") == client)

    async def present(self, channel: str) -> dict[str, str]:
        """Ask who is there, by client."""
        answer = await self.ask(presence={"channel": channel})
        return {client: info["user"] for client, info in answer["presence"]["presence"].items()}

    async def _next(self, there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                reply: dict[str, Any] = msgspec.json.decode(await self._wire.recv())
                if not reply:
                    await self._wire.send("{}")
                self.pushes += [reply["push"]] if "push" in reply else []
                if there(reply):
                    return reply


async def two_at_home(launch: Launch) -> tuple[Server, Server, Person, Person, str]:
    """Start two servers, and let two people share a channel."""
    here, there = launch(**SETTINGS), launch(**SETTINGS)
    for server in (here, there):
        await asyncio.to_thread(server.start)
    async with httpx.AsyncClient(base_url=here.url) as http:
        ann, ben = [await sign_up(http, name) for name in ("ann", "ben")]
        return here, there, ann, ben, f"eph:{await group(http, ann, ben)}"


async def test_a_killed_process_takes_its_clients_with_it_and_one_that_comes_back_is_seen(
    launch_together: Launch, stack: AsyncExitStack
) -> None:
    here, there, ann, ben, channel = await two_at_home(launch_together)
    device = await Device.open(stack, here, ann, channel)
    other = await Device.open(stack, there, ben, channel)
    await device.told("join", other.client)
    both = {device.client: usr(ann), other.client: usr(ben)}
    assert await device.present(channel) == both
    async with asyncio.timeout(10):
        while await other.present(channel) != both:
            await asyncio.sleep(0.1)
    there.kill()
    killed = time.monotonic()
    assert await device.present(channel) == both, "nobody knows yet"
    await device.told("leave", other.client)
    assert SILENCE - 2 * DIGEST < time.monotonic() - killed < 10 * SILENCE
    assert await device.present(channel) == {device.client: usr(ann)}
    await asyncio.to_thread(there.start)
    again = await Device.open(stack, there, ben, channel)
    await device.told("join", again.client)
    async with asyncio.timeout(10):  # the new process learns from the other one who is there
        while await again.present(channel) != {device.client: usr(ann), again.client: usr(ben)}:
            await asyncio.sleep(0.1)
    assert here.tracebacks() == there.tracebacks() == []


async def test_who_loses_a_deployed_process_comes_back_without_a_flap(
    launch_together: Launch, stack: AsyncExitStack
) -> None:
    here, there, ann, ben, channel = await two_at_home(launch_together)
    device = await Device.open(stack, here, ann, channel)
    other = await Device.open(stack, there, ben, channel)
    await device.told("join", other.client)
    assert await asyncio.to_thread(there.stop) == 0
    await asyncio.sleep(2 * SILENCE)
    assert other.client in await device.present(channel), "the delay of a leave holds, though the process is gone"
    again = await Device.open(stack, here, ben, channel)
    await device.told("join", again.client)
    await device.told("leave", other.client)
    assert set(await device.present(channel)) == {device.client, again.client}
