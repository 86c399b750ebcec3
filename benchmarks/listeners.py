"""Listeners that do next to nothing: WebSockets whose frames are not taken apart, only counted by a mark in them."""

import asyncio
import base64
import json
import os
import struct
from functools import partial

CHANNEL = "bench:bch_00000000000000000000000001"
MARK = b"@#@"  # once in each message, and in no head of a frame


class Listener(asyncio.Protocol):
    """One connection; counts the marks that arrive, and wakes whoever waits for a text."""

    def __init__(self) -> None:
        self.marks, self.rest = 0, b""
        self.arrived = asyncio.Event()
        self.kept = bytearray()
        self.keeps = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        data = self.rest + data
        self.marks += data.count(MARK)
        self.rest = data[1 - len(MARK) :]
        if self.keeps:
            self.kept += data
            self.arrived.set()

    def send(self, text: str) -> None:
        """Send a frame; its mask is nothing, which masks nothing."""
        body = text.encode()
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack("!H", len(body))
        self.transport.write(b"\x81" + size + bytes(4) + body)

    async def hears(self, said: bytes) -> bytes:
        """Wait until a text has arrived; return all that came since the last wait."""
        async with asyncio.timeout(120):
            while said not in self.kept:
                self.arrived.clear()
                await self.arrived.wait()
        heard = bytes(self.kept)
        self.kept.clear()
        return heard


async def connect(port: int, path: str, kind: type[Listener] = Listener) -> Listener:
    """Open a WebSocket as soon as the server listens (RFC 6455 §4.1)."""
    loop = asyncio.get_running_loop()
    for _ in range(500):
        try:
            _, made = await loop.create_connection(kind, "127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.02)
    else:
        raise TimeoutError(port)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
    head = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "Sec-WebSocket-Version: 13", "", ""])
    made.transport.write(head.encode())
    await made.hears(b"\r\n\r\n")
    return made


async def _corekit(port: int, *, listens: bool = True) -> Listener:
    made = await connect(port, "/connection/websocket")
    made.send('{"id":1,"connect":{"token":"bench"}}')
    await made.hears(b'"id":1')
    if listens:
        made.send(json.dumps({"id": 2, "subscribe": {"channel": CHANNEL}}))
        await made.hears(b'"id":2')
    return made


async def _ws(port: int) -> Listener:
    return await connect(port, "/")


async def _socketio(port: int) -> Listener:
    made = await connect(port, "/socket.io/?EIO=4&transport=websocket")
    made.send("40")
    await made.hears(b'40{"sid"')
    return made


IDLE = {"corekit": partial(_corekit, listens=False), "ws": _ws, "socket.io": _socketio, "python-socketio": _socketio}
OPENERS = {"corekit": _corekit, "ws": _ws, "socket.io": _socketio, "python-socketio": _socketio}


def go(kind: str, asked: dict[str, float]) -> str:
    """Write the message that starts the publishing."""
    text = json.dumps(asked)
    if kind == "corekit":
        return json.dumps({"id": 9, "rpc": {"method": "bench.go", "data": asked}})
    return text if kind == "ws" else f'42["go",{text}]'
