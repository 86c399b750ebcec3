"""A crowd for `storm.py` and `soak.py`: clients that keep their place in the rooms of `kit_for_crowd.py`.

They wait between attempts as the Centrifuge SDKs do (0.5 to 20 s, doubled, with full jitter), answer heartbeats, and
count what they miss or hear twice.
"""

import asyncio
import json
import random
import struct
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kit_for_crowd import room
from listeners import Listener, connect

from corekit.testing import free_port
from corekit.values import typeid

BACKOFF, BACKOFF_MAX = 0.5, 20.0  # seconds
_KIT = Path(__file__).with_name("kit_for_crowd.py")
_SHORT, _LONG, _PONG = 126, 127, b"{}"


@asynccontextmanager
async def served() -> AsyncGenerator[tuple[int, int]]:
    """Start the server in a process of its own; yields port and process id."""
    port = free_port()
    server = await asyncio.create_subprocess_exec(sys.executable, str(_KIT), str(port))
    try:
        (await connect(port, "/connection/websocket")).transport.abort()
        yield port, server.pid
    finally:
        server.terminate()
        await server.wait()


class Reader(Listener):
    """Keeps all that arrives, byte for byte."""

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.kept += data
        self.arrived.set()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # the form of a protocol
        """Wake who waits."""
        self.arrived.set()


class Place(NamedTuple):
    """Where a client is in its room."""

    epoch: str
    offset: int


class Client:
    """Stays in one room until it is told to go, whatever happens to its connection."""

    def __init__(self, number: int, port: int) -> None:
        self.channel = f"room:{typeid('rom', room(number))}"
        self.place = Place("", 0)
        self.back = asyncio.Event()
        self.missed = self.twice = self.unrecovered = self.refused = self.heard = 0
        self._name, self._port = f"person-{number}", port
        self._socket: Listener | None = None
        self._rest = b""
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._staying = asyncio.create_task(self._stay())

    async def ask(self, what: str, body: Any, number: int) -> Any:
        """Send a command; return its answer."""
        assert self._socket is not None
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._socket.send(json.dumps({"id": number, what: body}))
        async with asyncio.timeout(60):
            return await self._answers[number]

    def cut(self) -> None:
        """Lose the connection without a farewell."""
        self.back.clear()
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket.arrived.set()

    async def go(self) -> None:
        """Leave for good."""
        self._staying.cancel()
        self.cut()

    async def _stay(self) -> None:
        attempt = 0
        while True:
            try:
                await self._enter()
                attempt = 0
                await self._listen()
            except (OSError, TimeoutError, EOFError):
                self.refused += attempt > 0
            self.back.clear()
            most = min(BACKOFF_MAX, BACKOFF * 2**attempt)
            attempt += 1
            await asyncio.sleep(BACKOFF + random.random() * most)

    async def _enter(self) -> None:
        socket = self._socket = await connect(self._port, "/connection/websocket", Reader)
        self._rest, self._answers = b"", {}
        reading = asyncio.create_task(self._listen())
        try:
            await self._answered(reading, "connect", {"token": self._name}, 1)
            body: dict[str, Any] = {"channel": self.channel}
            if self.place.epoch:
                body |= {"recover": True, "epoch": self.place.epoch, "offset": self.place.offset}
            await self._answered(reading, "subscribe", body, 2)
        finally:
            reading.cancel()
        assert socket is self._socket
        self.back.set()

    async def _answered(self, reading: "asyncio.Task[None]", what: str, body: Any, number: int) -> Any:
        asking = asyncio.ensure_future(self.ask(what, body, number))
        await asyncio.wait({asking, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
            raise EOFError
        return asking.result()

    async def _listen(self) -> None:
        socket = self._socket
        assert socket is not None
        while not socket.transport.is_closing():
            for line in self._lines(socket):
                self._take(line)
            socket.arrived.clear()
            await socket.arrived.wait()
        raise EOFError

    def _lines(self, socket: Listener) -> list[bytes]:
        """Take whole frames apart; a frame holds lines."""
        data, lines = self._rest + bytes(socket.kept), []
        socket.kept.clear()
        at = 0
        while len(data) >= at + 4:
            size, head = data[at + 1], 2
            if size == _SHORT:
                size, head = struct.unpack_from("!H", data, at + 2)[0], 4
            elif size == _LONG:
                if len(data) < at + 10:
                    break
                size, head = struct.unpack_from("!Q", data, at + 2)[0], 10
            if len(data) < at + head + size:
                break
            if data[at] & 0xF == 8:  # a close
                socket.transport.abort()
            else:
                lines += data[at + head : at + head + size].split(b"\n")
            at += head + size
        if data[at : at + 4] == b"\x81\x02{}":
            lines, at = [*lines, _PONG], at + 4
        self._rest = data[at:]
        return lines

    def _take(self, line: bytes) -> None:
        if line == _PONG:
            assert self._socket is not None
            self._socket.send("{}")
            return
        said = json.loads(line)
        if answer := said.get("subscribe"):  # before any publication that follows in the same read
            self._take_place(answer)
        if (number := said.get("id")) is not None:
            if number in self._answers:
                self._answers.pop(number).set_result(said)
        elif publication := said.get("push", {}).get("pub"):
            self._hear(publication["offset"])

    def _take_place(self, answer: Any) -> None:
        if not self.place.epoch:
            self.place = Place(answer["epoch"], answer.get("offset", 0))
        elif not answer.get("recovered"):
            self.unrecovered += 1
        for publication in answer.get("publications", ()):
            self._hear(publication["offset"])

    def _hear(self, offset: int) -> None:
        self.heard += 1
        self.twice += offset <= self.place.offset
        self.missed += max(0, offset - self.place.offset - 1)
        self.place = Place(self.place.epoch, max(offset, self.place.offset))


async def latency(client: Client, over: Callable[[], bool]) -> list[float]:
    """Call a method again and again until it is over; return the milliseconds of each call."""
    took, number = [], 1000
    while not over():
        began, number = time.perf_counter(), number + 1
        await client.ask("rpc", {"method": "crowd.echo", "data": {"rate": 1}}, number)
        took.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.02)
    return sorted(took)
