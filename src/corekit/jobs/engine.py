"""The port behind which a job engine sits, and what it hands out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy import ScalarSelect

from corekit.context import Context

State = Literal["queued", "leased", "buried"]

PATIENCE = timedelta(hours=24)  # how long what nobody here knows waits for a process that does
SUSPECT = 2  # attempts that ended with their worker: from here on a job runs alone, so that it harms no neighbour


class LostLease(Exception):  # a state of the world, seen by the worker alone
    """Somebody else has taken this job over: whatever was done in this transaction must not commit."""


@dataclass(frozen=True)
class Job:
    """One job as the engine keeps it: an event for one listener, or a job that was asked for."""

    id: UUID
    tag: str
    listener: str
    payload: bytes
    key: str | None
    priority: int
    run_after: datetime
    origin: UUID | None
    tenant: UUID | None
    actor: UUID | None
    trace: str | None
    created_at: datetime
    state: State = "queued"
    attempts: int = 0
    last_error: str | None = None


@dataclass(frozen=True)
class Waiting:
    """What a look at the queue has found: jobs whose hour has come, those whose worker died once, or more often."""

    due: bool = False
    expired: bool = False
    suspects: bool = False


@dataclass(frozen=True)
class Which:
    """Which jobs an operator means: all that fit everything that is given."""

    ids: Collection[UUID] = ()
    states: Collection[State] = ()
    listener: str | None = None
    limit: int = 100


class JobEngine(Protocol):
    """Keeps jobs and hands them to workers; every call happens in a context with service rights.

    A job is there after the commit of the transaction that put it, and gone after that of the one that finished it.
    """

    async def waiting(self, ctx: Context, held: Collection[Job] = ()) -> Waiting:
        """Tell whether a job is due for this worker, besides those that it holds: reads only."""
        ...

    async def put(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """Add jobs; one whose key is open already is dropped."""
        ...

    async def claim(self, ctx: Context, limit: int, waiting: Waiting, held: Collection[Job] = ()) -> list[Job]:
        """Lease due jobs that this worker has code for, the urgent first; an attempt counts from here.

        `held` are those it has already. Where `waiting` has suspects, only one of them is leased.
        """
        ...

    async def renew(self, ctx: Context, jobs: Collection[Job]) -> None:
        """Push the leases of these on."""
        ...

    async def finish(self, ctx: Context, job: Job) -> None:
        """End a job in the transaction of its own effects.

        Raises:
            LostLease: the lease has passed to somebody else.

        """
        ...

    async def finish_all(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """End jobs that had no effects in the database; those whose lease is lost are left alone."""
        ...

    async def again(self, ctx: Context, job: Job, run_after: datetime, error: str) -> None:
        """Queue a failed job for another attempt."""
        ...

    async def bury(self, ctx: Context, job: Job, error: str) -> None:
        """Keep a job that will not be run again, with what went wrong."""
        ...

    async def release(self, ctx: Context, jobs: Sequence[Job]) -> None:
        """Give jobs back unrun; the attempt does not count."""
        ...

    def unfinished(self, until: datetime) -> ScalarSelect[int]:
        """Count, as a part of a statement, the jobs that run or are due until then."""
        ...

    # What an operator does; running jobs are left alone.

    async def find(self, ctx: Context, which: Which) -> list[Job]:
        """List jobs, the newest first."""
        ...

    async def retry(self, ctx: Context, which: Which) -> int:
        """Queue buried jobs anew, with all their attempts; not one whose key is open. Return how many."""
        ...

    async def bury_queued(self, ctx: Context, which: Which) -> int:
        """Bury queued jobs; return how many."""
        ...

    async def drop(self, ctx: Context, which: Which) -> int:
        """Delete queued and buried jobs for good; return how many."""
        ...
