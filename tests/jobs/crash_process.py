"""A process that works until it is killed: it tells, rolls back, enqueues, and runs what others left.

`python crash_process.py URL FOLDER NOTES [tell]`; it notes in the file NOTES what it saw happen, a line each.
"""

import asyncio
import os
import sys
from typing import Any

from sqlalchemy import text

from corekit import Actor, Caller, Context, Corekit, Event, Plugin, Settings, emit, enqueue, job, on, once
from corekit.settings import Config
from corekit.values import uuid7

LEASE = 3.0
TELL = text("INSERT INTO crash_told (id) VALUES (:id)")
EFFECT = text("INSERT INTO crash_effect (listener, id) VALUES (:listener, :id)")
TABLES = (
    "CREATE TABLE IF NOT EXISTS crash_told (id TEXT)",
    "CREATE TABLE IF NOT EXISTS crash_effect (listener TEXT, id TEXT)",
)


class Told(Event, frozen=True, tag="crash.told"):
    """Committed together with a row in `crash_told`, or not at all."""

    id: str


class Crash(Plugin[Settings]):
    """Two listeners, and jobs of both kinds."""

    name = "crash"

    def __init__(self, notes: str) -> None:
        super().__init__()
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, *what: Any) -> None:
        """Write a line that outlives the process, if not the machine."""
        os.write(self._notes, (" ".join(map(str, what)) + "\n").encode())

    @on(Told)
    async def first(self, ctx: Context, event: Told) -> None:
        self.note("heard", "first", event.id)
        if await once(ctx, event):
            await ctx.session.execute(EFFECT, {"listener": "first", "id": event.id})

    @on(Told)
    async def second(self, ctx: Context, event: Told) -> None:
        self.note("heard", "second", event.id)
        await asyncio.sleep(0.001)
        if await once(ctx, event):
            await ctx.session.execute(EFFECT, {"listener": "second", "id": event.id})

    @job("crash.idle", attempts=1000)
    async def idle(self, ctx: Context, id: str) -> None:  # noqa: A002
        self.note("heard", "idle", id)

    @job("crash.network", network=True, attempts=1000)
    async def network(self, caller: Caller, id: str) -> None:  # noqa: A002
        self.note("heard", "network", id)
        async with caller.begin() as ctx:
            if await once(ctx, id):
                await ctx.session.execute(EFFECT, {"listener": "network", "id": id})


def make(url: str, folder: str, notes: str) -> tuple[Corekit, Crash]:
    """Make the kit that every process has."""
    overrides = {"jobs": {"lease": LEASE, "poll": 0.1, "backoff": 0.05, "backoff_max": 0.2}}
    crash = Crash(notes)
    return Corekit([crash], database=url, data_dir=folder, config=Config.load(environ={}, overrides=overrides)), crash


async def tell(kit: Corekit, crash: Crash, actor: Actor) -> None:
    """Commit one event and its jobs; roll another back."""
    for keep in (True, False):
        id_ = str(uuid7())
        try:
            async with kit.context(actor) as ctx:
                await ctx.session.execute(TELL, {"id": id_})
                await emit(ctx, Told(id=id_))
                await enqueue(ctx, crash.idle, id_)
                await enqueue(ctx, crash.network, id_)
                if not keep:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            crash.note("rolled-back", id_)
        else:
            crash.note("committed", id_)


async def main(url: str, folder: str, notes: str, telling: str = "") -> None:
    """Work until killed."""
    kit, crash = make(url, folder, notes)
    async with kit:
        crash.note("started", os.getpid())
        while True:
            if telling:
                await tell(kit, crash, Actor.system("crash"))
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
