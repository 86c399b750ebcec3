"""Kits for tests."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from corekit.context import Actor, Caller
from corekit.data import DatabaseSettings
from corekit.jobs.relay import unfinished
from corekit.jobs.runner import PURPOSE
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Config
from corekit.testing.clock import FakeClock
from corekit.values import Clock


@asynccontextmanager
async def make_kit(
    plugins: Sequence[Plugin[Any]] = (),
    *,
    database: str | DatabaseSettings | None = None,
    tmp_path: Path | None = None,
    clock: Clock | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncGenerator[Corekit]:
    """Start a kit on a database of its own (an SQLite file that goes away, unless told otherwise).

    `settings` are tables as in `corekit.toml`: `{"jobs": {"worker": False}}`.
    """
    with tempfile.TemporaryDirectory(prefix="corekit-") as folder:
        config = Config.load(environ={}, overrides=settings or {})
        kit = Corekit(plugins, database=database, data_dir=tmp_path or Path(folder), config=config, clock=clock)
        async with kit:
            yield kit


def act_as(kit: Corekit, name: str | Actor, **fields: Any) -> Caller:
    """Make a caller for a test: `act_as(kit, "alice")`."""
    return kit.caller(name if isinstance(name, Actor) else Actor(name, **fields))


async def settle(kit: Corekit, *, seconds: float = 10.0) -> None:
    """Wait until every event is heard and every job has run or is buried, but for those of a later time.

    Later is what is not due within `seconds`; on a `FakeClock`, which stands still, what is not due now.
    """
    horizon = timedelta(0) if isinstance(kit.clock, FakeClock) else timedelta(seconds=seconds)
    async with asyncio.timeout(seconds):
        while True:
            async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
                if not await unfinished(ctx, kit.job_engine, ctx.now() + horizon):
                    return
            await asyncio.sleep(0.01)
