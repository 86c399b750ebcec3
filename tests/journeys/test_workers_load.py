"""SIGTERM while people write: what was acknowledged is kept, and whoever heard it comes back for the rest."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import msgspec
import pytest
from people import Person, group, sign_up
from server import Server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from workers import serving, subscribed

from corekit.data import DatabaseSettings


@pytest.fixture
def four(launch: Callable[..., Server], database: DatabaseSettings, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give a server of four workers."""
    with serving(4, launch, database, request) as server:
        yield server


async def _send_while_it_answers(server: Server, person: Person, conversation: str) -> set[int]:
    """Send one message after the other until the server is gone; return the numbers of those it acknowledged."""
    acknowledged = set()
    path = f"/chat/v1/conversations/{conversation}/messages"
    async with httpx.AsyncClient(base_url=server.url, headers=person.headers, timeout=30) as http:
        with contextlib.suppress(httpx.TransportError):
            while True:
                answer = await http.post(path, json={"client_id": uuid4().hex, "body": "hello"})
                if answer.status_code == 201:
                    acknowledged.add(answer.json()["seq"])
                else:
                    assert answer.status_code == 503, answer.text
                    await asyncio.sleep(0.05)
    return acknowledged


async def _hear_all(wire: ClientConnection, channel: str) -> tuple[list[int], int | None]:
    """Hear until the socket is closed; return the numbers in the order they came, and the close code."""
    heard: list[int] = []
    try:
        async with asyncio.timeout(90):
            while True:
                reply = msgspec.json.decode(await wire.recv())
                if not reply:
                    await wire.send("{}")
                push = reply.get("push", {})
                if "pub" in push and push["channel"] == channel:  # one's own channel has other numbers
                    heard.append(push["pub"]["offset"])
    except ConnectionClosed as closed:
        return heard, closed.rcvd.code if closed.rcvd else None


async def _missed(server: Server, person: Person, channel: str, last: int) -> list[int]:
    """Come back with the last number that was heard; return those of what is told then."""
    async with connect(server.socket, proxy=None) as wire:
        await wire.send(msgspec.json.encode({"id": 1, "connect": {"token": person.access_token}}).decode())
        await wire.recv()
        position = {"channel": channel, "recover": True, "offset": last}
        await wire.send(msgspec.json.encode({"id": 2, "subscribe": {"channel": channel}}).decode())
        while "subscribe" not in (answer := msgspec.json.decode(await wire.recv())):
            assert "error" not in answer, answer
        await wire.send(msgspec.json.encode({"id": 3, "unsubscribe": {"channel": channel}}).decode())
        position["epoch"] = answer["subscribe"]["epoch"]
        await wire.send(msgspec.json.encode({"id": 4, "subscribe": position}).decode())
        while (answer := msgspec.json.decode(await wire.recv())).get("id") != 4:
            pass
        assert answer["subscribe"]["recovered"], answer
        return [entry["offset"] for entry in answer["subscribe"].get("publications", [])]


async def test_sigterm_under_load_loses_nothing(four: Server) -> None:
    async with httpx.AsyncClient(base_url=four.url) as http:
        ann, ben = [await sign_up(http, name) for name in ("ann", "ben")]
        conversation = await group(http, ann, ben)
    channel = f"conv:{conversation}"
    hearing = [asyncio.create_task(_hear_all(await subscribed(four, ben, channel), channel)) for _ in range(16)]
    sending = [asyncio.create_task(_send_while_it_answers(four, ann, conversation)) for _ in range(8)]
    await asyncio.sleep(2)
    assert await asyncio.to_thread(four.stop) == 0
    acknowledged = set().union(*await asyncio.gather(*sending))
    ends = await asyncio.gather(*hearing)
    assert len(acknowledged) > 20
    assert {code for _, code in ends} == {3001}
    await asyncio.to_thread(four.start)
    heard = [numbers for numbers, _ in ends]
    later = [await _missed(four, ben, channel, numbers[-1]) for numbers in heard]
    everything = list(range(heard[0][0], [*heard[0], *later[0]][-1] + 1))
    for numbers, missed in zip(heard, later, strict=True):
        assert numbers + missed == everything
    assert acknowledged <= set(everything)
