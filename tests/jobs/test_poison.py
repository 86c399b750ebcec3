"""A job that kills its worker is buried in the end, and takes none of its neighbours with it."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from corekit import Context, Plugin, Settings, job
from corekit.data.outbox import JobRow
from corekit.testing import make_kit

PROCESS = """
import asyncio, os, signal, sys
from corekit import Actor, Corekit, Plugin, Settings, enqueue, job
from corekit.settings import Config
from corekit.testing import settle

class Poison(Plugin[Settings]):
    name = "poison"

    @job("poison.drink", attempts=4)
    async def drink(self, ctx, n: int):
        os.kill(os.getpid(), signal.SIGKILL)

    @job("poison.neighbour", attempts=4)
    async def neighbour(self, ctx, n: int):
        await asyncio.sleep(0.001)
        print("ran", n, flush=True)

async def main(url, folder, first):
    config = Config.load(environ={}, overrides={"jobs": {"lease": 0.6, "poll": 0.05}})
    async with Corekit([poison := Poison()], database=url, data_dir=folder, config=config) as kit:
        if first:
            async with kit.context(Actor("alice")) as ctx:
                for n in range(20):
                    await enqueue(ctx, poison.neighbour, n)
                    if n == 3:
                        await enqueue(ctx, poison.drink, n)
        await settle(kit)

asyncio.run(main(sys.argv[1], sys.argv[2], len(sys.argv) > 3))
"""


class Poison(Plugin[Settings]):
    """The same jobs, to be looked at."""

    name = "poison"

    @job("poison.drink", attempts=4)
    async def drink(self, ctx: Context, n: int) -> None: ...


async def test_a_poison_job_is_buried_and_its_neighbours_run(database_url: str, tmp_path: Path) -> None:
    ran: list[str] = []
    command = [sys.executable, "-c", PROCESS, database_url, str(tmp_path)]
    for start in range(8):
        process = subprocess.run(  # noqa: ASYNC221  # nothing else runs meanwhile
            [*command, "first"] if not start else command, stdout=subprocess.PIPE, text=True, check=False, timeout=60
        )
        ran += process.stdout.split("\n")[:-1]
        if process.returncode == 0:
            break
    settings = {"jobs": {"worker": False}}
    async with (
        make_kit([Poison()], database=database_url, tmp_path=tmp_path, settings=settings) as kit,
        kit.caller().system("poison").begin(readonly=True) as ctx,
    ):
        left = (await ctx.session.scalars(select(JobRow))).all()
    assert [(row.listener, row.state, row.last_error) for row in left] == [
        ("poison.drink", "buried", "Bury: its worker died at every attempt")
    ]
    assert set(ran) == {f"ran {n}" for n in range(20)}  # some twice: they were not ended when the worker died
    assert start == 4
