"""Hits per second of each store of limits, with the same of the package `limits` in memory and on the same Valkey.

`uv run --group bench python benchmarks/rate_limits.py`; all run in turns within one process, and medians are told.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from corekit.data import DatabaseSettings
from corekit.guard import Limits, Rule
from corekit.testing import PostgresServer, ValkeyServer, make_kit

RULE = Rule("bench", 600_000, 60, 60_000)  # nothing is refused
PEER = RateLimitItemPerMinute(600_000)
ROUNDS, KEYS = 5, 500
Hit = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def stores(postgresql: DatabaseSettings, valkey: str) -> AsyncGenerator[dict[str, tuple[Hit, int]]]:
    """Start everything; return how each is hit, and how often in a round."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def ours(name: str, database: DatabaseSettings | None = None, url: str = "") -> Hit:
            store = "redis" if url else name.partition(" ")[0]
            tables = {"jobs": {"worker": False}, "limits": {"store": store}, "redis": {"url": url, "timeout": 5}}
            kit = await stack.enter_async_context(make_kit(database=database, tmp_path=folder / name, settings=tables))
            limits = kit.get(Limits)
            return lambda key: limits.hit(RULE, key)

        memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        remote = SlidingWindowCounterRateLimiter(RedisStorage(f"async+{valkey}", implementation="valkey"))
        yield {
            "memory": (await ours("memory"), 5000),
            "memory, package limits": (lambda key: memory.hit(PEER, key), 5000),
            "redis": (await ours("redis", url=valkey), 3200),
            "redis, package limits": (lambda key: remote.hit(PEER, key), 3200),
            "sql (SQLite)": (await ours("sql (SQLite)"), 160),
            "sql (PostgreSQL)": (await ours("sql (PostgreSQL)", postgresql), 160),
        }


async def rate(hit: Hit, hits: int, tasks: int) -> float:
    """Count hits per second, with so many tasks at once."""
    numbers = itertools.count()

    async def several() -> None:
        for _ in range(hits // tasks):
            await hit(f"key {next(numbers) % KEYS}")

    started = time.perf_counter()
    await asyncio.gather(*(several() for _ in range(tasks)))
    return hits / (time.perf_counter() - started)


async def main(postgresql: DatabaseSettings, valkey: str) -> None:
    """Compare."""
    async with stores(postgresql, valkey) as all_:
        for tasks in (1, 32):
            rates: dict[str, list[float]] = {name: [] for name in all_}
            for _ in range(ROUNDS):
                for name, (hit, hits) in all_.items():
                    rates[name].append(await rate(hit, hits, tasks))
            for name, measured in rates.items():
                store = name.partition(",")[0]
                peer = rates.get(f"{store}, package limits")
                ratio = statistics.median(a / b for a, b in zip(measured, peer, strict=True)) if peer else None
                beside = f", {ratio:.2f} x the package" if ratio and peer is not measured else ""
                print(f"{name:<24} {tasks:>2} at once {statistics.median(measured):>9,.0f}/s{beside}")


if __name__ == "__main__":
    with PostgresServer.started() as server, server.database() as url, ValkeyServer.started() as valkey_server:
        asyncio.run(main(asyncio.run(server.settings(url)), valkey_server.url))
