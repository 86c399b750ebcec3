"""A worker killed in the middle of a job: the job runs again when its lease ends, not before, and once."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from corekit import Actor, Context, Event, Plugin, Settings, emit, enqueue, job, on
from corekit.data.outbox import JobRow
from corekit.testing import make_kit, settle

LEASE = 3.0  # renewed every second
POLL = 0.02
VICTIM = """
import asyncio, sys
from corekit import Actor, Corekit, Plugin, Settings, enqueue, job
from corekit.settings import Config

class Victim(Plugin[Settings]):
    name = "victim"

    @job("victim.work")
    async def work(self, ctx, n: int):
        print("running", flush=True)
        await asyncio.sleep(60)

async def main(url, folder, lease):
    config = Config.load(environ={}, overrides={"jobs": {"lease": float(lease)}})
    async with Corekit([victim := Victim()], database=url, data_dir=folder, config=config) as kit:
        async with kit.context(Actor("alice")) as ctx:
            await enqueue(ctx, victim.work, 7)
        await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


class Worked(Event, frozen=True, tag="victim.worked"):
    """It ran to its end."""

    n: int


class Victim(Plugin[Settings]):
    """The same plugin, in a process that lives."""

    name = "victim"

    def __init__(self) -> None:
        super().__init__()
        self.ran_at: list[datetime] = []
        self.heard: list[int] = []

    @job("victim.work")
    async def work(self, ctx: Context, n: int) -> None:
        self.ran_at.append(datetime.now(UTC))
        await emit(ctx, Worked(n=n))

    @on(Worked)
    async def hear(self, ctx: Context, event: Worked) -> None:
        self.heard.append(event.n)


async def test_a_killed_job_runs_again_when_its_lease_ends(database_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", VICTIM, database_url, str(tmp_path), str(LEASE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220  # nothing else runs meanwhile
        assert process.stdout
        assert await asyncio.to_thread(process.stdout.readline) == b"running\n"
        process.kill()
    survivor = Victim()
    async with make_kit(
        [survivor], database=database_url, tmp_path=tmp_path, settings={"jobs": {"poll": POLL, "lease": LEASE}}
    ) as kit:
        async with kit.caller().system("victim").begin(readonly=True) as ctx:
            row = (await ctx.session.scalars(select(JobRow))).one()
        assert (row.state, row.attempts) == ("leased", 1)
        assert row.lease_until
        began = datetime.now(UTC)
        async with kit.context(Actor("bob")) as ctx:
            await enqueue(ctx, survivor.work, 8)
        await settle(kit)
    assert sorted(survivor.heard) == [7, 8]
    again = max(survivor.ran_at)
    assert row.lease_until < again < max(row.lease_until, began) + timedelta(seconds=POLL + 1)
