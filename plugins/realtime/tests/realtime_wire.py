"""A raw client for the gateway's tests."""

import asyncio
from typing import Any, Self

import msgspec
import realtime_protobuf  # beside this file
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class Wire:
    """A raw client: sends commands, sorts what comes back."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.pushes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.pings = 0
        self.pongs = True
        self.code: int | None = None
        self.hello: dict[str, Any] = {}
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._reader = asyncio.create_task(self._read())

    @property
    def binary(self) -> bool:
        """Whether it speaks Protobuf."""
        return self.socket.subprotocol == "centrifuge-protobuf"

    @classmethod
    async def open(cls, url: str, token: str | None = None, **options: Any) -> Self:
        """Open a socket; with a token, connect too."""
        settings: dict[str, Any] = {"compression": None, "proxy": None, "ping_interval": None, "max_size": None}
        if options.pop("codec", "json") == "protobuf":
            settings["subprotocols"] = ["centrifuge-protobuf"]
        address = url.replace("http", "ws", 1) + options.pop("path", "/connection/websocket")
        extra = {key: options.pop(key) for key in ("name", "data", "subs", "version") if key in options}
        wire = cls(await connect(address, **(settings | options)))
        if token is not None:
            reply = await wire.ask(connect={"token": token, **extra})
            wire.hello = reply.get("connect", reply)
        return wire

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Send one command and wait for its reply; an empty one if the socket closes instead."""
        return await self.begin(**request)

    def begin(self, **request: Any) -> "asyncio.Task[dict[str, Any]]":
        """Send one command."""
        self._number += 1
        future = self._replies[self._number] = asyncio.get_running_loop().create_future()
        command = {"id": self._number, **request}
        line = realtime_protobuf.write(command) if self.binary else msgspec.json.encode(command).decode()

        async def both() -> dict[str, Any]:
            try:
                await self.socket.send(line)
            except ConnectionClosed:
                return {}
            return await asyncio.wait_for(future, 10)

        return asyncio.create_task(both())

    async def subscribe(self, channel: str, **more: Any) -> dict[str, Any]:
        """Subscribe; return the result or the error."""
        reply = await self.ask(subscribe={"channel": channel, **more})
        return reply.get("subscribe", reply.get("error", reply))

    async def push(self, seconds: float = 10.0) -> dict[str, Any]:
        """Return the next push."""
        return await asyncio.wait_for(self.pushes.get(), seconds)

    async def heard(self, count: int, seconds: float = 10.0) -> list[tuple[int, Any]]:
        """Return the next publications as (offset, data), other pushes left out."""
        found: list[tuple[int, Any]] = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                push = await self.pushes.get()
                if "pub" in push:
                    found.append((push["pub"].get("offset", 0), push["pub"]["data"]))
        return found

    async def closed(self, seconds: float = 10.0) -> int:
        """Wait for the end; return the close code."""
        await asyncio.wait_for(asyncio.shield(self._reader), seconds)
        assert self.code is not None
        return self.code

    async def close(self) -> None:
        """Hang up."""
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                if isinstance(frame, bytes):
                    (reply,) = realtime_protobuf.read(frame)
                else:
                    reply = msgspec.json.decode(frame)
                await self._take(reply)
        except ConnectionClosed:
            pass
        self.code = self.socket.close_code
        for future in self._replies.values():
            if not future.done():
                future.set_result({})

    async def _take(self, reply: dict[str, Any]) -> None:
        if not reply:
            self.pings += 1
            if self.pongs:
                await self.socket.send(b"\0" if self.binary else "{}")
        elif "push" in reply:
            self.pushes.put_nowait(reply["push"])
        else:
            self._replies.pop(reply["id"]).set_result(reply)
