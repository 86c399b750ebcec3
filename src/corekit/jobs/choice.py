"""Which engine keeps the jobs."""

from corekit.jobs.engine import JobEngine
from corekit.jobs.marks import Handlers
from corekit.jobs.rows import Rows
from corekit.jobs.settings import JobSettings
from corekit.values import uuid7


def make_engine(handlers: Handlers, settings: JobSettings) -> JobEngine:
    """Make the engine that the settings name, for a worker of its own name."""
    return Rows(uuid7(), settings.lease, handlers.by_name())
