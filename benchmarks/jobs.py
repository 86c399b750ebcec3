"""Jobs per second, end to end: enqueue in bulk, relay, claim, handler with a transaction of its own, finish.

`uv run python benchmarks/jobs.py [sqlite|postgresql] [count]`
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from corekit import Actor, Context, Corekit, Plugin, Settings, enqueue, job
from corekit.settings import Config
from corekit.testing import PostgresServer

EFFECT = text("INSERT INTO bench_effect (n) VALUES (:n)")


class Bench(Plugin[Settings]):
    """Two jobs: one writes a row, one does nothing."""

    name = "bench"

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self.wanted = 0
        self.done = asyncio.Event()

    def count(self) -> None:
        self.runs += 1
        if self.runs == self.wanted:
            self.done.set()

    @job("bench.write")
    async def write(self, ctx: Context, n: int) -> None:
        """Leave one row."""
        await ctx.session.execute(EFFECT, {"n": n})
        self.count()

    @job("bench.idle")
    async def idle(self, ctx: Context, n: int) -> None:  # noqa: ARG002
        """Do nothing."""
        self.count()


async def measure(url: str, folder: Path, count: int) -> None:
    """Print jobs per second of each kind."""
    config = Config.load(environ={}, overrides={})
    async with Corekit([bench := Bench()], database=url, data_dir=folder, config=config) as kit:
        async with kit.database.engine().begin() as connection:
            await connection.execute(text("CREATE TABLE bench_effect (n BIGINT)"))
        rates: dict[str, list[float]] = {}
        for _ in range(3):
            for work in (bench.write, bench.idle):
                rates.setdefault(work.__name__, []).append(await once(kit, bench, work, count))
        for name, found in rates.items():
            print(f"{kit.database.dialect:<10} {name:<6} {sorted(found)[1]:7.0f} jobs/s  {[round(r) for r in found]}")


async def once(kit: Corekit, bench: Bench, work: Any, count: int) -> float:
    """Run `count` jobs of one kind; return how many per second."""
    bench.runs, bench.wanted = 0, count
    bench.done.clear()
    began = time.perf_counter()
    for start in range(0, count, 500):
        async with kit.context(Actor.system("bench")) as ctx:
            for n in range(start, min(start + 500, count)):
                await enqueue(ctx, work, n)
    await bench.done.wait()
    return count / (time.perf_counter() - began)


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
