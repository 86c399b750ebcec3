"""Workers killed at random under load: nothing that was committed is lost, nothing else happens, effects are single.

`COREKIT_CRASH_SECONDS=60` kills for a minute; without it for a few seconds.
"""

import asyncio
import contextlib
import importlib.util
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import text

from corekit import Actor, Corekit, enqueue
from corekit.testing import settle

SECONDS = float(os.environ.get("COREKIT_CRASH_SECONDS", "6"))
SCRIPT = Path(__file__).with_name("crash_process.py")
JOBS = 1000


@pytest.fixture(scope="module")
def process() -> ModuleType:
    """Load what the processes run, for the one that looks afterwards."""
    spec = importlib.util.spec_from_file_location("crash_process", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Crowd:
    """Processes that are killed at random and started again."""

    def __init__(self, url: str, folder: Path, size: int) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        self._command = [sys.executable, str(SCRIPT), url, str(folder), str(self.notes)]
        self._size = size
        self._alive: list[subprocess.Popen[bytes]] = []
        self.kills = 0

    @contextlib.contextmanager
    def killing(self) -> Iterator[None]:
        """Have them run, and none afterwards."""
        try:
            for _ in range(self._size):
                self._start()
            yield
        finally:
            for one in self._alive:
                one.kill()
                one.wait()

    def kill_one(self) -> None:
        victim = self._alive.pop(random.randrange(len(self._alive)))  # noqa: S311
        victim.kill()
        victim.wait()
        self.kills += 1
        self._start()

    def started(self) -> int:
        return self.notes.read_text().count("started")

    def _start(self) -> None:
        self._alive.append(subprocess.Popen([*self._command, "tell"]))


async def killed_at_random(crowd: Crowd) -> None:
    """Kill one whenever all are up, after a random moment."""
    end = time.monotonic() + SECONDS
    with crowd.killing():
        while time.monotonic() < end or crowd.kills < 2:  # a busy machine takes its time to start them
            wanted = crowd.kills + crowd._size
            async with asyncio.timeout(30):
                while crowd.started() < wanted:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(random.uniform(0.05, 1.0))  # noqa: S311
            crowd.kill_one()


async def rows(kit: Corekit, statement: str) -> list[tuple[str, ...]]:
    async with kit.database.engine().connect() as connection:
        return [tuple(row) for row in (await connection.execute(text(statement))).all()]


@pytest.mark.timeout(120 + SECONDS * 2)
async def test_every_committed_event_is_heard_and_no_other(
    database_url: str, tmp_path: Path, process: ModuleType
) -> None:
    crowd = Crowd(database_url, tmp_path, 1 if database_url.startswith("sqlite") else 2)
    kit, crash = process.make(database_url, str(tmp_path), str(crowd.notes))
    async with kit:
        async with kit.database.engine().begin() as connection:
            for statement in process.TABLES:
                await connection.execute(text(statement))
        for start in range(0, JOBS, 250):
            async with kit.context(Actor.system("crash")) as ctx:
                for n in range(start, start + 250):
                    await enqueue(ctx, crash.idle, f"job-{n}")
    await killed_at_random(crowd)
    kit, _ = process.make(database_url, str(tmp_path), str(crowd.notes))
    async with kit:
        await settle(kit, seconds=60)
        told = {id_ for (id_,) in await rows(kit, "SELECT id FROM crash_told")}
        effects = Counter(await rows(kit, "SELECT listener, id FROM crash_effect"))
        left = await rows(kit, "SELECT listener, last_error FROM corekit_job")
    lines = [line.split() for line in crowd.notes.read_text().splitlines()]
    heard = Counter((line[1], line[2]) for line in lines if line[0] == "heard")
    assert {line[1] for line in lines if line[0] == "committed"} <= told
    assert not {line[1] for line in lines if line[0] == "rolled-back"} & told
    assert left == []
    listeners = ("first", "second", "idle", "network")
    assert {(name, id_) for name in listeners for id_ in told} | {("idle", f"job-{n}") for n in range(JOBS)} == set(
        heard
    )
    assert effects == {(name, id_): 1 for name in ("first", "second", "network") for id_ in told}
    assert crowd.kills >= 2
