"""Fan-out to 200 subscribers: deliveries per CPU-second of the server, corekit beside python-socketio, in one run.

The server runs on one core, the listeners on another. Each server publishes the same 230-byte messages, one after the
other, and reports its own CPU time; a listener only counts what arrives.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from corekit.testing import free_port

SUBSCRIBERS = 200
MESSAGES = 500
ROUNDS = 3
PAUSE = 0.002  # seconds between two messages: no batching in either server
TEXT = "x" * 200


async def pace(publish: Callable[[int], Awaitable[None]]) -> float:
    """Publish all messages; return the CPU seconds that the process spent until they were written."""
    before = os.times()
    for number in range(MESSAGES):
        await publish(number)
        await asyncio.sleep(PAUSE)
    await asyncio.sleep(0.2)
    after = os.times()
    return after.user + after.system - before.user - before.system


async def serve_corekit(port: int) -> None:
    """Run a kit with one channel that everybody may hear and one method that starts the messages."""
    from kit_for_fan_out import make_app  # noqa: PLC0415  # beside this file

    kit, app = make_app(pace, TEXT)
    async with kit:
        options: dict[str, Any] = {"ws": "corekit.web.uvicorn:Protocol", "ws_per_message_deflate": False}
        config = uvicorn.Config(app, port=port, lifespan="off", log_level="error", ws_ping_interval=None, **options)
        await uvicorn.Server(config).serve()


async def serve_socketio(port: int) -> None:
    """Run python-socketio with one room and one event that starts the messages."""
    import socketio  # noqa: PLC0415  # the peer, installed only for this

    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])

    @server.event
    async def connect(sid: str, _environ: dict[str, Any]) -> None:
        await server.enter_room(sid, "room")

    @server.event
    async def go(sid: str) -> None:
        async def publish(number: int) -> None:
            await server.emit("message", {"n": number, "text": TEXT}, room="room")

        spent = await pace(publish)
        await server.emit("spent", spent, to=sid)

    config = uvicorn.Config(
        socketio.ASGIApp(server), port=port, log_level="error", ws_per_message_deflate=False, ws_ping_interval=None
    )
    await uvicorn.Server(config).serve()


async def open_corekit(port: int) -> ClientConnection:
    """Connect and subscribe in the Centrifuge protocol."""
    socket = await _connect(f"ws://127.0.0.1:{port}/connection/websocket")
    await socket.send('{"id":1,"connect":{"token":"bench"}}')
    await socket.recv()
    await socket.send(json.dumps({"id": 2, "subscribe": {"channel": CHANNEL}}))
    await socket.recv()
    return socket


async def open_socketio(port: int) -> ClientConnection:
    """Connect in the Engine.IO 4 and Socket.IO 5 protocols."""
    socket = await _connect(f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket")
    await socket.recv()
    await socket.send("40")
    await socket.recv()
    return socket


async def _connect(url: str) -> ClientConnection:
    for _ in range(500):
        try:
            return await connect(url, compression=None, proxy=None, ping_interval=None)
        except OSError:
            await asyncio.sleep(0.02)
    raise TimeoutError(url)


async def count(socket: ClientConnection) -> int:
    """Count the messages that arrive."""
    got = 0
    while got < MESSAGES:
        frame = await asyncio.wait_for(socket.recv(), 60)
        got += str(frame).count(TEXT)
    return got


async def deliveries_per_cpu_second(kind: str) -> float:
    """Start a server in a process of its own, listen with everybody, and divide."""
    port = free_port()
    server = await asyncio.create_subprocess_exec(sys.executable, __file__, "serve", kind, str(port))
    opener = {"corekit": open_corekit, "python-socketio": open_socketio}[kind]
    try:
        sockets = [await opener(port) for _ in range(SUBSCRIBERS)]
        starter = await opener(port)
        go = '{"id":9,"rpc":{"method":"bench.go","data":{}}}' if kind == "corekit" else '42["go"]'
        await starter.send(go)
        counted = asyncio.gather(*(count(socket) for socket in sockets))
        spent = await _spent(starter, kind)
        return sum(await counted) / spent
    finally:
        server.kill()
        await server.wait()


async def _spent(socket: ClientConnection, kind: str) -> float:
    while True:
        frame = str(await asyncio.wait_for(socket.recv(), 120))
        for line in frame.split("\n"):
            if kind == "corekit" and '"id":9' in line:
                return float(json.loads(line)["rpc"]["data"]["seconds"])
            if line.startswith('42["spent"'):
                return float(json.loads(line[2:])[1])


async def main() -> None:
    """Take turns, and print medians."""
    rates: dict[str, list[float]] = {"corekit": [], "python-socketio": []}
    for _ in range(ROUNDS):
        for kind, found in rates.items():
            found.append(await deliveries_per_cpu_second(kind))
    for kind, found in rates.items():
        print(f"{kind:<16} {median(found):9.0f} deliveries per CPU-second")
    ratio = median(a / b for a, b in zip(rates["corekit"], rates["python-socketio"], strict=True))
    print(f"ratio (goal ≥ 2): {ratio:.1f}")


CHANNEL = "bench:bch_00000000000000000000000001"

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {0})
        asyncio.run({"corekit": serve_corekit, "python-socketio": serve_socketio}[sys.argv[2]](int(sys.argv[3])))
    else:
        asyncio.run(main())
