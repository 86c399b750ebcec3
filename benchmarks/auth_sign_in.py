"""Password sign-ins of the served reference kit, beside the rate at which its pool of threads hashes alone.

`uv run python benchmarks/auth_sign_in.py`; in turns, on both databases, medians. While people sign in, somebody asks
for the published keys every 10 ms: how long that takes is the second figure. Then, one by one, wrong passwords of known
and of unknown addresses: the ratio of their medians is what time tells.
"""

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from keep_alive import Connection
from served_auth import PASSWORD, address, reference_kit, sign_up

from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer
from corekit_auth.hashing import Hasher
from corekit_auth.settings import AuthSettings

PER_THREAD = 4  # people who sign in at once, for each thread that hashes
TOKEN, KEYS = "/auth/v1/token?grant_type=password", "/auth/v1/.well-known/jwks.json"
GOAL, PATIENCE = 0.9, 20


async def pool_alone(threads: int, checks: int) -> float:
    """Hash with nothing beside; return the checks per second."""
    hasher = Hasher(AuthSettings(hash_threads=threads, hash_wait=60))
    stored = await hasher.hash(PASSWORD)
    began = time.perf_counter()
    await asyncio.gather(*(hasher.verify(stored, PASSWORD) for _ in range(checks)))
    took = time.perf_counter() - began
    hasher.close()
    return checks / took


async def sign_ins(port: int, people: int, times: int) -> float:
    """Sign everybody in, so often; return the sign-ins per second."""
    connections = [await Connection.open(port) for _ in range(people)]

    async def several(number: int, connection: Connection) -> None:
        for _ in range(times):
            status, body = await connection.post(TOKEN, {"email": address(number), "password": PASSWORD})
            assert status == 200, body
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(several(number, connection) for number, connection in enumerate(connections)))
    return people * times / (time.perf_counter() - began)


async def bystander(port: int, waits: list[float]) -> None:
    """Ask for something else every 10 ms, and note how many ms each answer takes."""
    connection = await Connection.open(port)
    try:
        while True:
            began = time.perf_counter()
            status, _ = await connection.get(KEYS)
            assert status == 200
            waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)
    finally:
        connection.close()


async def told_by_time(port: int, pairs: int) -> float:
    """Try wrong passwords; return the time of known over that of unknown addresses."""
    connection = await Connection.open(port)
    took: dict[bool, list[float]] = {True: [], False: []}
    for number, known in itertools.product(range(pairs), (True, False)):
        email = address(0) if known else f"nobody.{number}@example.org"
        began = time.perf_counter()
        status, body = await connection.post(TOKEN, {"email": email, "password": "wrong horse battery"})
        took[known].append(time.perf_counter() - began)
        assert status == 400, body
    connection.close()
    return median(took[True]) / median(took[False])


async def compare(name: str, database: DatabaseSettings | None, threads: int, rounds: int, pairs: int) -> None:
    """Take turns, and tell medians."""
    people, waits, found = threads * PER_THREAD, [], []
    with tempfile.TemporaryDirectory() as folder:
        async with reference_kit(Path(folder), database, hash_threads=threads, hash_wait=60) as (port, _):
            await sign_up(port, people)
            for _ in range(rounds):
                alone = await pool_alone(threads, 60 * threads)
                task = asyncio.create_task(bystander(port, waits))
                found.append((await sign_ins(port, people, 60 // PER_THREAD), alone))
                task.cancel()
                await asyncio.wait([task])
            told = await told_by_time(port, pairs)
    rate, alone = (median(side) for side in zip(*found, strict=True))
    p99 = sorted(waits)[int(len(waits) * 0.99)]
    ratio = median(ours / pool for ours, pool in found)
    print(f"{name}, threads that hash: {threads}; the pool alone {alone:.1f}/s")
    print(f"  sign-ins {rate:.1f}/s, ratio (goal ≥ {GOAL}): {ratio:.2f}")
    print(f"  an unrelated GET meanwhile: median {median(waits):.1f} ms, p99 (goal < {PATIENCE} ms) {p99:.1f} ms")
    print(f"  wrong passwords, known over unknown, {pairs} pairs (goal 0.9 to 1.1): {told:.3f}")


async def main(threads: int, rounds: int, pairs: int, postgresql: DatabaseSettings) -> None:
    """Compare on both databases."""
    await compare("SQLite", None, threads, rounds, pairs)
    await compare("PostgreSQL", postgresql, threads, rounds, pairs)


if __name__ == "__main__":
    spare = max((os.cpu_count() or 2) - 1, 1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=spare, help=f"that hash; a core is left to the rest ({spare})")
    parser.add_argument("--rounds", type=int, default=7, help="of each (7)")
    parser.add_argument("--pairs", type=int, default=200, help="of wrong passwords (200)")
    given = parser.parse_args()
    with PostgresServer.started() as server, server.database() as url:
        settings = asyncio.run(server.settings(url))
        asyncio.run(main(given.threads, given.rounds, given.pairs, settings))
