"""The gateway beside node's `ws` and `socket.io` and python-socketio: what a delivery costs the server's process.

`uv run --group bench python benchmarks/gateway.py`; servers in turns on one core, the listeners on the other. Each
server publishes the same 230-byte messages and reports the CPU time that it took: the listeners only count. node and
npm are needed; the peers are installed beside this file at the first run.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from listeners import IDLE, MARK, OPENERS, Listener, go
from served_auth import cpu_seconds, pin

from corekit.testing import free_port

PEERS = Path(__file__).parent / "peers"
TEXT = MARK.decode() + "x" * 197
KINDS = ("corekit", "ws", "socket.io", "python-socketio")
SCRIPTS = {"ws": "ws.mjs", "socket.io": "socketio.mjs"}
ALONE = {"messages": 400, "burst": 1, "pause": 0.004}  # one in flight: nothing to put together
BURSTS = {"messages": 2000, "burst": 50, "pause": 0}
CONNECTIONS = 2000


async def pace(asked: Any, publish: Callable[[int], Awaitable[None]]) -> float:
    """Publish as asked; return the CPU seconds that the process spent until all was written."""
    before = os.times()
    for number in range(0, asked.messages, asked.burst):
        for one in range(asked.burst):
            await publish(number + one)
        await asyncio.sleep(asked.pause)
    await asyncio.sleep(0.3)
    after = os.times()
    return after.user + after.system - before.user - before.system


async def serve_corekit(port: int) -> None:
    """Run a kit with one channel that everybody may hear and one method that starts the messages."""
    from kit_for_gateway import make_app  # noqa: PLC0415  # beside this file

    kit, app = make_app(pace, TEXT)
    async with kit:
        options: dict[str, Any] = {"ws": "corekit.web.uvicorn:Protocol", "ws_per_message_deflate": False}
        config = uvicorn.Config(app, port=port, lifespan="off", log_level="error", ws_ping_interval=None, **options)
        await uvicorn.Server(config).serve()


async def serve_socketio(port: int) -> None:
    """Run python-socketio with one room and one event that starts the messages."""
    import socketio  # noqa: PLC0415  # the peer, installed only for this
    from kit_for_gateway import Go  # noqa: PLC0415

    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[], ping_interval=300)

    @server.event
    async def connect(sid: str, _environ: dict[str, Any]) -> None:
        await server.enter_room(sid, "room")

    @server.event
    async def go(sid: str, asked: dict[str, Any]) -> None:
        async def publish(number: int) -> None:
            await server.emit("message", {"n": number, "text": TEXT}, room="room")

        await server.emit("spent", {"spent": await pace(Go(**asked), publish)}, to=sid)

    config = uvicorn.Config(
        socketio.ASGIApp(server), port=port, log_level="error", ws_per_message_deflate=False, ws_ping_interval=None
    )
    await uvicorn.Server(config).serve()


@asynccontextmanager
async def served(kind: str) -> AsyncGenerator[tuple[int, int]]:
    """Start a server in a process of its own, on the first core; yields its port and process id."""
    port = free_port()
    command = [sys.executable, __file__, "serve", kind, str(port)]
    if kind in SCRIPTS:
        command = ["node", str(PEERS / SCRIPTS[kind]), str(port), TEXT]
    server = await asyncio.create_subprocess_exec(*command)
    pin(0, server.pid)
    try:
        yield port, server.pid
    finally:
        server.kill()
        await server.wait()


async def deliveries(kind: str, listeners: int, asked: dict[str, float]) -> float:
    """Return the CPU microseconds of the server for each delivery."""
    async with served(kind) as (port, _):
        sockets = [await OPENERS[kind](port) for _ in range(listeners)]
        for socket in sockets[1:]:
            socket.keeps = False
        sockets[0].send(go(kind, asked))
        heard = await sockets[0].hears(b"spent")
        spent = float(re.findall(rb'"spent":\s*([0-9.e-]+)', heard)[0])
        await arrived(sockets, int(asked["messages"]))
        return 1e6 * spent / (listeners * asked["messages"])


async def arrived(sockets: list[Listener], messages: int) -> None:
    """Wait until everybody has everything: a server that drops is not measured."""
    async with asyncio.timeout(60):
        while not all(socket.marks == messages for socket in sockets):  # noqa: ASYNC110  # they are to do little
            await asyncio.sleep(0.05)


async def connections(kind: str) -> tuple[float, float]:
    """Return the memory of an idle connection in KiB, and the CPU microseconds that setting one up took."""
    async with served(kind) as (port, pid):
        for _ in range(50):  # what is loaded and built once
            (await IDLE[kind](port)).transport.abort()
        await asyncio.sleep(1)
        before, spent = resident(pid), cpu_seconds(pid)
        sockets = [await IDLE[kind](port) for _ in range(CONNECTIONS)]
        spent = cpu_seconds(pid) - spent
        await asyncio.sleep(1)
        grown = resident(pid) - before
        assert not any(socket.transport.is_closing() for socket in sockets)
        return grown / CONNECTIONS / 1024, 1e6 * spent / CONNECTIONS


def resident(pid: int) -> int:
    """Read how many bytes a process has in memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def main(kinds: list[str], rounds: int) -> None:
    """Take turns, and print medians."""
    pin(1)
    rows: dict[str, Callable[[str], Awaitable[Any]]] = {
        "one at a time, 200 listeners, µs": lambda kind: deliveries(kind, 200, ALONE),
        "bursts, 200 listeners, µs": lambda kind: deliveries(kind, 200, BURSTS),
        "bursts, 1,000 listeners, µs": lambda kind: deliveries(kind, 1000, BURSTS | {"messages": 500}),
    }
    print(f"{'':34}" + "".join(f"{kind:>17}" for kind in kinds))
    for name, measure in rows.items():
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind in kinds:
                found[kind].append(await measure(kind))
        show(name, {kind: median(values) for kind, values in found.items()})
    idle = {kind: await connections(kind) for kind in kinds}
    show("an idle connection of 2,000, KiB", {kind: memory for kind, (memory, _) in idle.items()})
    show("setting one up, µs", {kind: spent for kind, (_, spent) in idle.items()})


def show(name: str, found: dict[str, float]) -> None:
    """Print a row, and how many times less corekit takes."""
    ours = found["corekit"]
    print(f"{name:<34}" + "".join(f"{value:9.2f} ({value / ours:4.1f}×)" for value in found.values()), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run({"corekit": serve_corekit, "python-socketio": serve_socketio}[sys.argv[2]](int(sys.argv[3])))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each (3)")
    parser.add_argument("--peers", nargs="*", default=KINDS[1:], choices=KINDS[1:], help="all")
    given = parser.parse_args()
    if set(given.peers) & set(SCRIPTS) and not (PEERS / "node_modules").is_dir():
        subprocess.run(["npm", "install", "--ignore-scripts", "--silent"], cwd=PEERS, check=True)  # noqa: S607
    asyncio.run(main(["corekit", *given.peers], given.rounds))
