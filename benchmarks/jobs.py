"""Jobs per second, end to end: enqueue in bulk, relay, claim, handler, finish; with what bounds them in the same run.

`uv run --group bench python benchmarks/jobs.py [sqlite|postgresql|both] [count]`

`write` is a handler that writes one row in its own transaction, which also ends the job; `idle` is one that writes
nothing. Beside them, in turns: one-row transactions with the raw driver and through SQLAlchemy, one after the other,
and on PostgreSQL pgqueuer's own manager, whose jobs end outside of the handler's transaction.
"""

import asyncio
import logging
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import text

from corekit import Actor, Context, Corekit, Plugin, Settings, enqueue, job
from corekit.data.options import libpq_url
from corekit.settings import Config
from corekit.testing import PostgresServer

ROUNDS = 3
EFFECT = text("INSERT INTO bench_effect (n) VALUES (:n)")


class Bench(Plugin[Settings]):
    """Two jobs: one writes a row, one does nothing."""

    name = "bench"

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.done = asyncio.Event()

    def count(self) -> None:
        """Note that one more has run."""
        self.left -= 1
        if not self.left:
            self.done.set()

    def expect(self, count: int) -> None:
        """Wait for so many."""
        self.left = count
        self.done.clear()

    @job("bench.write")
    async def write(self, ctx: Context, n: int) -> None:
        """Leave one row."""
        await ctx.session.execute(EFFECT, {"n": n})
        self.count()

    @job("bench.idle")
    async def idle(self, ctx: Context, n: int) -> None:  # noqa: ARG002
        """Do nothing."""
        self.count()


async def run_jobs(kit: Corekit, bench: Bench, work: Any, count: int) -> None:
    """Enqueue and run `count` jobs of one kind."""
    bench.expect(count)
    for start in range(0, count, 500):
        async with kit.context(Actor.system("bench")) as ctx:
            for n in range(start, min(start + 500, count)):
                await enqueue(ctx, work, n)
    await bench.done.wait()


async def run_sqlalchemy(kit: Corekit, count: int) -> None:
    """Write one row per transaction, in a context each."""
    for n in range(count):
        async with kit.context(Actor.system("bench")) as ctx:
            await ctx.session.execute(EFFECT, {"n": n})


def run_sqlite3(path: Path, count: int) -> None:
    """Write one row per commit."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    for n in range(count):
        connection.execute("INSERT INTO bench_effect (n) VALUES (?)", (n,))
    connection.close()


async def run_raw(kit: Corekit, count: int) -> None:
    """Write one row per transaction with the raw driver."""
    if kit.database.dialect == "sqlite":
        await asyncio.to_thread(run_sqlite3, kit.database.path, count)
        return
    connection = await asyncpg.connect(libpq_url(kit.database.url))
    for n in range(count):
        await connection.execute("INSERT INTO bench_effect (n) VALUES ($1)", n)
    await connection.close()


async def run_pgqueuer(kit: Corekit, count: int, *, write: bool) -> None:
    """Run `count` jobs with pgqueuer's own manager; with `write`, in a context each, apart from the job's end."""
    from pgqueuer import PgQueuer  # noqa: PLC0415  # a peer, not a dependency
    from pgqueuer.queries import Queries  # noqa: PLC0415
    from pgqueuer.types import QueueExecutionMode  # noqa: PLC0415

    logging.getLogger("pgqueuer").setLevel(logging.ERROR)
    async with asyncpg.create_pool(libpq_url(kit.database.url), min_size=4, max_size=4) as pool:
        queries = Queries.from_asyncpg_pool(pool)
        if not await queries.schema_is_installed():
            await queries.install()
        manager = PgQueuer.from_asyncpg_pool(pool)

        @manager.entrypoint("work")
        async def work(given: Any) -> None:
            if write:
                async with kit.context(Actor.system("bench")) as ctx:
                    await ctx.session.execute(EFFECT, {"n": int(given.payload)})

        for start in range(0, count, 500):
            size = min(500, count - start)
            await queries.enqueue(["work"] * size, [str(n).encode() for n in range(size)], [0] * size)
        await manager.run(mode=QueueExecutionMode.drain, batch_size=16, max_concurrent_tasks=32)


async def measure(url: str, folder: Path, count: int) -> None:
    """Print the median of each, and its ratio to the raw driver."""
    config = Config.load(environ={}, overrides={"logs": {"level": "error"}})
    async with Corekit([bench := Bench()], database=url, data_dir=folder, config=config) as kit:
        async with kit.database.engine().begin() as connection:
            await connection.execute(text("CREATE TABLE bench_effect (n BIGINT)"))
        runs: dict[str, Callable[[], Awaitable[None]]] = {
            "raw driver": lambda: run_raw(kit, count),
            "sqlalchemy": lambda: run_sqlalchemy(kit, count // 4),
            "rows, write": lambda: run_jobs(kit, bench, bench.write, count),
            "rows, idle": lambda: run_jobs(kit, bench, bench.idle, count),
        }
        if kit.database.dialect == "postgresql":
            runs["pgqueuer, write"] = lambda: run_pgqueuer(kit, count, write=True)
            runs["pgqueuer, idle"] = lambda: run_pgqueuer(kit, count, write=False)
        found: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                began = time.perf_counter()
                await run()
                found[name].append((count // 4 if name == "sqlalchemy" else count) / (time.perf_counter() - began))
        raw = statistics.median(found["raw driver"])
        for name, rates in found.items():
            rate = statistics.median(rates)
            print(
                f"{kit.database.dialect:<10}  {name:<15} {rate:7.0f}/s  {rate / raw:5.2f} × raw  {[*map(round, rates)]}"
            )


def main() -> None:
    """Measure each database."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else "both"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with tempfile.TemporaryDirectory() as folder:
        if wanted != "postgresql":
            asyncio.run(measure(f"sqlite:///{folder}/bench.db", Path(folder), count))
        if wanted != "sqlite":
            with PostgresServer.started() as server, server.database() as url:
                asyncio.run(measure(url, Path(folder), count))


if __name__ == "__main__":
    main()
