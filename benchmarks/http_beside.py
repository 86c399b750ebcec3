"""A JSON answer with token check, limit and log, as `corekit serve` gives it, beside the same answer of bare Litestar.

`uv run python benchmarks/http_beside.py`; in turns, requests per CPU-second of the server, medians. Both are served by
uvicorn with the same options; the bare one checks, counts and logs nothing.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from keep_alive import Connection
from litestar import Litestar, get
from served_auth import cpu_seconds, pin, sign_up

from corekit import Corekit, Plugin, Settings
from corekit.cli.options import run
from corekit.guard.limits import Limits, Rule
from corekit.settings import Config
from corekit.testing import free_port
from corekit.web import Who, asgi, requires
from corekit.web.access import logged
from corekit.web.uvicorn import server_config
from corekit_auth import AuthPlugin

CONNECTIONS = 64
GOAL = 0.8
PLENTY = Rule("bench", 10_000_000, 60, 10_000_000)
BODY = {"items": [{"id": f"msg_{number:026}", "text": "hello there", "seq": number} for number in range(8)]}


@get("/checked", guards=[requires()])
async def checked(caller: Who) -> dict[str, Any]:
    """Answer who is signed in, so often."""
    await caller.kit.get(Limits).hit(PLENTY, str(caller.actor.id))
    return BODY


@get("/bare")
async def bare() -> dict[str, Any]:
    """Answer the same to everybody."""
    return BODY


class Bench(Plugin[Settings]):
    """Brings the route."""

    name = "bench"

    def routes(self) -> Sequence[Any]:
        """Serve it."""
        return [checked]


async def serve(kind: str, port: int) -> None:
    """Be one of the servers."""
    if kind == "bare":
        await uvicorn.Server(server_config(Litestar([bare], logging_config=None), port=port)).serve()
        return
    overrides = {"jobs": {"worker": False}, "logs": {"style": "json"}}
    config = Config.load(environ={}, overrides=overrides)
    kit = Corekit([AuthPlugin(), Bench(Settings())], data_dir=tempfile.mkdtemp(), config=config)
    async with kit:
        await uvicorn.Server(server_config(logged(config, asgi(kit)), port=port)).serve()


@asynccontextmanager
async def started(kind: str, log: Path) -> AsyncGenerator[tuple[int, int]]:
    """Start one of the servers on a core of its own; yields port and pid."""
    port = free_port()
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--serve", kind, "--port", str(port), stderr=out
        )
    pin(0, process.pid)
    try:
        (await Connection.open(port)).close()
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def rates(port: int, pid: int, path: str, bearer: str, requests: int) -> tuple[float, float]:
    """Ask so often; return the requests per CPU-second of the server, and per second."""
    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]

    async def several(connection: Connection) -> None:
        for _ in range(requests // CONNECTIONS):
            status, body = await connection.get(path, bearer)
            assert status == 200, body
        connection.close()

    spent, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(several(connection) for connection in connections))
    took, used = time.perf_counter() - began, cpu_seconds(pid) - spent
    return requests / used, requests / took


async def main(requests: int, rounds: int) -> None:
    """Take turns, and tell medians."""
    pin(1)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        async with started("corekit", log) as ours, started("bare", Path(folder) / "bare") as theirs:
            [session] = await sign_up(ours[0], 1)
            bearer = session["access_token"]
            pairs = []
            for _ in range(rounds + 1):  # the first one warms up
                mine = await rates(*ours, "/checked", bearer, requests)
                pairs.append((mine, await rates(*theirs, "/bare", bearer, requests)))
        assert log.read_bytes().count(b'"route":"/checked"') == requests * (rounds + 1)
    for name, side in zip(("corekit", "bare Litestar"), zip(*pairs[1:], strict=True), strict=True):
        cpu, wall = (median(values) for values in zip(*side, strict=True))
        print(f"{name:<14} {cpu:7.0f} per CPU-second, {wall:6.0f} per second")
    print(f"ratio (goal ≥ {GOAL}): {median(a[0] / b[0] for a, b in pairs[1:]):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=12_800, help="in each round (12,800)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server (5)")
    parser.add_argument("--serve", choices=["corekit", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        run(serve(given.serve, given.port))
    else:
        asyncio.run(main(given.requests, given.rounds))
