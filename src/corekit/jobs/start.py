"""Which engine keeps the jobs, and what of it runs in this process."""

from contextlib import AsyncExitStack

from corekit.context import Kit
from corekit.jobs.engine import JobEngine
from corekit.jobs.listeners import Listeners
from corekit.jobs.marks import Handlers
from corekit.jobs.rows import Rows
from corekit.jobs.settings import JobSettings
from corekit.jobs.worker import Worker
from corekit.values import uuid7


def make_engine(handlers: Handlers, settings: JobSettings) -> JobEngine:
    """Make the engine that the settings name, for a worker of its own name."""
    return Rows(uuid7(), settings.lease, handlers.by_name())


async def start_jobs(
    kit: Kit,
    handlers: Handlers,
    engine: JobEngine,
    *,
    listeners: Listeners,
    known: frozenset[str],
    settings: JobSettings,
    stack: AsyncExitStack,
) -> None:
    """Start the worker, where this process has one, and on PostgreSQL what wakes those of other processes."""
    worker = Worker(kit, handlers, engine=engine, listeners=listeners, known=known, settings=settings)
    if kit.database.dialect == "postgresql":
        from corekit.jobs.bell import Bell  # noqa: PLC0415  # neither driver is loaded without need

        bell = Bell(kit.database, worker.wake)
        await bell.start()
        stack.push_async_callback(bell.stop)
    if settings.worker:
        await worker.start()
        stack.push_async_callback(worker.stop)
