"""`corekit serve` with several workers: they share a socket, a bus and a fate."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

import httpx
import pytest
from people import Person, group, sign_up
from server import Server
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from workers import serving, subscribed, wait

from corekit.data import DatabaseSettings


@pytest.fixture
def two(launch: Callable[..., Server], database: DatabaseSettings, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give a server of two workers, which is up, joined by Valkey on SQLite and by PostgreSQL itself otherwise."""
    with serving(2, launch, database, request) as server:
        yield server


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@contextmanager
def _asleep(pid: int) -> Iterator[None]:
    """Let the other worker take all that comes."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _hears(wire: ClientConnection, body: str) -> None:
    async with asyncio.timeout(5):
        while body not in str(await wire.recv()):
            pass


async def _close_code(wire: ClientConnection) -> int | None:
    try:
        async with asyncio.timeout(60):
            while True:
                await wire.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def test_a_message_crosses_workers_and_sigterm_ends_them_all_with_3001(two: Server) -> None:
    first, second = two.workers().values()
    async with httpx.AsyncClient(base_url=two.url) as http:
        ann, ben = [await sign_up(http, name) for name in ("ann", "ben")]
        conversation = await group(http, ann, ben)
        wires = []
        for pid in (first, second):
            with _asleep(pid):
                wires += [await subscribed(two, ben, f"conv:{conversation}") for _ in range(3)]
        message = {"client_id": "1", "body": "to both"}
        path = f"/chat/v1/conversations/{conversation}/messages"
        assert (await http.post(path, json=message, headers=ann.headers)).status_code == 201
        await asyncio.gather(*(_hears(wire, "to both") for wire in wires))
    codes = asyncio.gather(*(_close_code(wire) for wire in wires))
    assert await asyncio.to_thread(two.stop) == 0
    assert await codes == [3001] * 6
    assert not any(_alive(pid) for pid in (first, second))


class Callers:
    """Clients that ask in a loop, with a new connection each time or over one that they keep."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.errors: list[Exception] = []

    @asynccontextmanager
    async def calling(self, url: str, headers: dict[str, str]) -> AsyncGenerator[None]:
        """Ask until the end of the block."""
        tasks = [asyncio.create_task(self._call(url, headers, keep=keep)) for keep in (True, True, False, False)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, url: str, headers: dict[str, str], *, keep: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=None if keep else 0)
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=10) as http:
            while True:
                try:
                    self.answers.append((await http.get("/auth/v1/user")).status_code)
                except httpx.TransportError as error:
                    self.errors.append(error)
                await asyncio.sleep(0.1)


async def _send_until(over: asyncio.Event, server: Server, person: Person, conversation: str) -> set[int]:
    """Send one message after the other; return the numbers of those that were acknowledged."""
    acknowledged = set()
    path = f"/chat/v1/conversations/{conversation}/messages"
    async with httpx.AsyncClient(base_url=server.url, headers=person.headers, timeout=10) as http:
        while not over.is_set():
            answer = await http.post(path, json={"client_id": uuid4().hex, "body": "hello"})
            assert answer.status_code == 201, answer.text
            acknowledged.add(answer.json()["seq"])
            await asyncio.sleep(0.25)
    return acknowledged


async def _kept(server: Server, person: Person, conversation: str) -> set[int]:
    """Read the numbers of all messages, page by page."""
    numbers: set[int] = set()
    path, asked = f"/chat/v1/conversations/{conversation}/messages", {"limit": "100"}
    async with httpx.AsyncClient(base_url=server.url, headers=person.headers) as http:
        while True:
            page = (await http.get(path, params=asked)).json()
            numbers |= {message["seq"] for message in page["items"]}
            if page["next"] is None:
                return numbers
            asked["cursor"] = page["next"]


async def test_a_killed_worker_is_replaced_and_the_socket_never_refuses(two: Server) -> None:
    before = two.workers()
    callers = Callers()
    async with httpx.AsyncClient(base_url=two.url) as http:
        ann = await sign_up(http, "ann")
    async with callers.calling(two.url, ann.headers):
        await asyncio.sleep(0.3)
        os.kill(before[1], signal.SIGKILL)
        await asyncio.to_thread(wait, lambda: two.workers()[1] != before[1])
        await asyncio.sleep(0.3)
    assert two.workers()[2] == before[2]
    assert f"code=-9 pid={before[1]} worker=1" in two.output()
    assert set(callers.answers) == {200}
    assert not [error for error in callers.errors if isinstance(error, httpx.ConnectError)], "it refused"
    assert len(callers.errors) <= 4, "more failed than what the killed one had in hand"
    assert two.stop() == 0


async def test_sighup_replaces_each_worker_and_no_request_fails(two: Server) -> None:
    before = two.workers()
    callers = Callers()
    async with httpx.AsyncClient(base_url=two.url) as http:
        ann = await sign_up(http, "ann")
        conversation = await group(http, ann)
    wires = [await subscribed(two, ann, f"conv:{conversation}") for _ in range(4)]
    codes = asyncio.gather(*(_close_code(wire) for wire in wires))
    over = asyncio.Event()
    sending = asyncio.create_task(_send_until(over, two, ann, conversation))
    async with callers.calling(two.url, ann.headers):
        await asyncio.sleep(0.3)
        two.tell(signal.SIGHUP)
        await two.says("rolled")
        await asyncio.sleep(0.3)
    over.set()
    assert (acknowledged := await sending)
    assert await _kept(two, ann, conversation) == acknowledged
    assert callers.errors == []
    assert set(callers.answers) == {200}
    assert await codes == [3001] * 4
    assert not set(before.values()) & set(two.workers().values())
    assert not any(_alive(pid) for pid in before.values())
    assert two.output().count("worker_replaced") == 2
    assert two.stop() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database has no part in it
async def test_no_worker_outlives_its_supervisor(two: Server) -> None:
    pids = two.workers().values()
    two.kill()
    await asyncio.to_thread(wait, lambda: not any(_alive(pid) for pid in pids))
    async with httpx.AsyncClient(base_url=two.url) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("/live")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database has no part in it
async def test_a_second_signal_ends_at_once_even_a_worker_that_hangs(two: Server) -> None:
    hanging = two.workers()[2]
    os.kill(hanging, signal.SIGSTOP)
    two.tell(signal.SIGTERM)
    await two.says("draining")
    began = time.monotonic()
    assert await asyncio.to_thread(two.stop) == 0
    assert time.monotonic() - began < 8
    assert not _alive(hanging)
    assert "stopping_at_once" in two.output()
