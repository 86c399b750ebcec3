"""Refreshes over HTTP of the served reference kit, beside the verb alone in a process of its own.

`uv run python benchmarks/auth_refresh.py`; in turns, on both databases, medians. What refreshes has one core, the load
generator the other.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
from keep_alive import Connection
from served_auth import LIMITS, pin, reference_kit, sign_up

from corekit import Client
from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.service import AuthService

SESSIONS = 8  # each refreshed by one client, one after the other
PATH = "/auth/v1/token?grant_type=refresh_token"
GOALS = {"SQLite": 500, "PostgreSQL": 900}


async def over_http(port: int, tokens: list[str], refreshes: int) -> float:
    """Refresh all sessions at once; return the refreshes per second, and leave the last tokens in the list."""
    connections = [await Connection.open(port) for _ in tokens]

    async def several(number: int) -> None:
        for _ in range(refreshes // SESSIONS):
            status, body = await connections[number].post(PATH, {"refresh_token": tokens[number]})
            assert status == 200, body
            tokens[number] = json.loads(body)["refresh_token"]
        connections[number].close()

    began = time.perf_counter()
    await asyncio.gather(*(several(number) for number in range(SESSIONS)))
    return refreshes / (time.perf_counter() - began)


async def verb(database: DatabaseSettings | None, folder: Path) -> None:
    """Refresh without HTTP, as often as each line on stdin says; answer each with the refreshes per second."""
    tables = {"auth": LIMITS, "jobs": {"worker": False}}
    async with make_kit([AuthPlugin()], database=database, tmp_path=folder, settings=tables) as kit:
        service = kit.get(AuthService)
        caller = kit.caller(client=Client("127.0.0.1", "bench"))
        signed_up = [
            await service.grant_by_sign_up(caller, f"verb.{number}@example.org", "correct horse battery", {})
            for number in range(SESSIONS)
        ]
        tokens = [grant.session.refresh_token for grant in signed_up]

        async def several(number: int, times: int) -> None:
            for _ in range(times):
                tokens[number] = (await service.grant_by_refresh(caller, tokens[number])).session.refresh_token

        while line := await asyncio.to_thread(sys.stdin.readline):
            refreshes, began = int(line), time.perf_counter()
            await asyncio.gather(*(several(number, refreshes // SESSIONS) for number in range(SESSIONS)))
            print(refreshes / (time.perf_counter() - began), flush=True)


async def compare(name: str, databases: list[DatabaseSettings | None], refreshes: int, rounds: int) -> None:
    """Take turns, and tell medians."""
    with tempfile.TemporaryDirectory() as served, tempfile.TemporaryDirectory() as alone:
        arguments = ("verb", msgspec.json.encode(databases[1]).decode(), alone)
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(sys.executable, __file__, *arguments, **pipes)
        assert process.stdin
        assert process.stdout
        found = []
        async with reference_kit(Path(served), databases[0]) as (port, pid):
            pin(0, pid)
            tokens = [session["refresh_token"] for session in await sign_up(port, SESSIONS)]
            for number in range(rounds + 1):
                http = await over_http(port, tokens, refreshes)
                process.stdin.write(f"{refreshes}\n".encode())
                plain = float(await process.stdout.readline())
                if number:  # the first warms up
                    found.append((http, plain))
        process.stdin.close()
        await process.wait()
    http, plain = (median(side) for side in zip(*found, strict=True))
    ratio = median(a / b for a, b in found)
    print(f"{name:<11} {http:6.0f}/s over HTTP (goal ≥ {GOALS[name]}), {plain:6.0f}/s without, ", end="")
    print(f"ratio (goal ≥ 0.75): {ratio:.2f}")


async def main(postgresql: list[DatabaseSettings | None], refreshes: int, rounds: int) -> None:
    """Compare on both databases."""
    pin(1)
    await compare("SQLite", [None, None], refreshes, rounds)
    await compare("PostgreSQL", postgresql, refreshes, rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["verb"]:
        pin(0)
        asyncio.run(verb(msgspec.json.decode(sys.argv[2], type=DatabaseSettings | None), Path(sys.argv[3])))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refreshes", type=int, default=1600, help="in each round (1600)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (5)")
    given = parser.parse_args()
    with PostgresServer.started() as server, server.database() as url, server.database() as other:
        both: list[DatabaseSettings | None] = [asyncio.run(server.settings(one)) for one in (url, other)]
        asyncio.run(main(both, given.refreshes, given.rounds))
