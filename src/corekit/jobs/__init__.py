"""Jobs: deferred work, enqueued in the caller's transaction, run by a worker, retried, then buried."""

from corekit.jobs.engine import Job, JobEngine
from corekit.jobs.marks import Bury, Handler, Handlers, Retry, enqueue, job, schedule
from corekit.jobs.settings import JobSettings
from corekit.jobs.start import make_engine, start_jobs
from corekit.jobs.upkeep import Upkeep
from corekit.jobs.worker import Worker

__all__ = [
    "Bury",
    "Handler",
    "Handlers",
    "Job",
    "JobEngine",
    "JobSettings",
    "Retry",
    "Upkeep",
    "Worker",
    "enqueue",
    "job",
    "make_engine",
    "schedule",
    "start_jobs",
]
