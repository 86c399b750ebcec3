"""Jobs: deferred work, enqueued in the caller's transaction, run by a worker, retried, then buried."""

from corekit.jobs.marks import Bury, Handler, Handlers, Retry, enqueue, job
from corekit.jobs.worker import JobSettings, Worker

__all__ = ["Bury", "Handler", "Handlers", "JobSettings", "Retry", "Worker", "enqueue", "job"]
