"""`GET /auth/v1/user` of the served reference kit per CPU-second of the server, beside fastapi-users' `GET /users/me`.

`uv run python benchmarks/auth_user.py`; in turns, on both databases, medians. The peer reads a row by its key; ours
also checks that the session lives, and brings identities and factors.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

from keep_alive import Connection
from served_auth import PASSWORD, address, cpu_seconds, reference_kit, sign_up

from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer, free_port

CONNECTIONS = 16
GOAL = 3


class Served:
    """A server with somebody signed in."""

    def __init__(self, port: int, pid: int, path: str, bearer: str) -> None:
        self.port, self._pid, self._path, self._bearer = port, pid, path, bearer

    async def rates(self, requests: int) -> tuple[float, float]:
        """Ask so often; return the requests per CPU-second and per second."""
        connections = [await Connection.open(self.port) for _ in range(CONNECTIONS)]

        async def several(connection: Connection) -> None:
            for _ in range(requests // CONNECTIONS):
                status, body = await connection.get(self._path, self._bearer)
                assert status == 200, body
            connection.close()

        spent, began = cpu_seconds(self._pid), time.perf_counter()
        await asyncio.gather(*(several(connection) for connection in connections))
        took, used = time.perf_counter() - began, cpu_seconds(self._pid) - spent
        return requests / used, requests / took


@asynccontextmanager
async def peer(url: str) -> AsyncGenerator[Served]:
    """Serve fastapi-users in an environment of its own."""
    port = free_port()
    script = str(Path(__file__).with_name("peer_fastapi_users.py"))
    command = ("uv", "run", "--quiet", "--no-project", "--script", script, str(port), url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    pid = int(await process.stdout.readline() or 0)
    assert pid, "fastapi-users did not start"
    try:
        connection = await Connection.open(port)
        status, body = await connection.post("/auth/register", {"email": address(0), "password": PASSWORD})
        assert status == 201, body
        form = f"username={address(0)}&password={PASSWORD.replace(' ', '+')}"
        status, body = await connection.post("/auth/jwt/login", {}, form=form)
        assert status == 200, body
        connection.close()
        yield Served(port, pid, "/users/me", json.loads(body)["access_token"])
    finally:
        os.kill(pid, signal.SIGTERM)
        await process.wait()


async def compare(name: str, database: DatabaseSettings | None, url: str, requests: int, rounds: int) -> None:
    """Take turns, and tell medians."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, pid = await stack.enter_async_context(reference_kit(folder, database))
        [session] = await sign_up(port, 1)
        ours = Served(port, pid, "/auth/v1/user", session["access_token"])
        theirs = await stack.enter_async_context(peer(url or f"sqlite+aiosqlite:///{folder / 'peer.db'}"))
        for served in (ours, theirs):
            await served.rates(requests)
        pairs = [(await ours.rates(requests), await theirs.rates(requests)) for _ in range(rounds)]
    for who, side in zip(("corekit", "fastapi-users"), zip(*pairs, strict=True), strict=True):
        cpu, wall = (median(values) for values in zip(*side, strict=True))
        print(f"{name:<11} {who:<14} {cpu:7.0f} per CPU-second, {wall:6.0f} per second")
    print(f"{name:<11} ratio (goal ≥ {GOAL}): {median(a[0] / b[0] for a, b in pairs):.2f}")


async def main(requests: int, rounds: int, ours: DatabaseSettings, theirs: str) -> None:
    """Compare on both databases."""
    await compare("SQLite", None, "", requests, rounds)
    await compare("PostgreSQL", ours, theirs, requests, rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3200, help="in each round (3200)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server (5)")
    given = parser.parse_args()
    with PostgresServer.started() as server, server.database() as url, server.database() as other:
        settings = asyncio.run(server.settings(url))
        peers = other.replace("postgresql:", "postgresql+asyncpg:")
        asyncio.run(main(given.requests, given.rounds, settings, peers))
