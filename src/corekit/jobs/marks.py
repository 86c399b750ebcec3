"""What marks a method as a job, and how one is asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from corekit.context import Context
from corekit.data.outbox import OutboxRow
from corekit.errors import PluginError
from corekit.jobs.schedules import Schedule
from corekit.values import uuid7

F = TypeVar("F", bound=Callable[..., Awaitable[None]])
_MARK = "__corekit_job__"


class Retry(Exception):  # a signal to the worker, not an error
    """Raised by a job: run me again, after this time."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


class Bury(Exception):
    """Raised by a job: running me again is of no use."""


@dataclass(frozen=True)
class JobMark:
    """What `@job` said of a method."""

    tag: str
    network: bool
    attempts: int
    timeout: float
    purpose: str | None
    schedule: Schedule | None = None


def job(
    tag: str, *, network: bool = False, attempts: int = 8, timeout: float = 60.0, purpose: str | None = None
) -> Callable[[F], F]:
    """Mark a plugin's async method `(ctx, payload)` as a job; with `network=True` it gets `(caller, payload)`.

    `tag` is its stable name, as an event has one; `attempts` counts all runs; `timeout` is in seconds; `purpose` is
    the elevation it runs under (default: the plugin's name).
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, JobMark(tag, network, attempts, timeout, purpose))
        return function

    return mark


def schedule(
    cron: str,
    *,
    tag: str,
    zone: str = "UTC",
    network: bool = False,
    attempts: int = 8,
    timeout: float = 60.0,
    purpose: str | None = None,
) -> Callable[[F], F]:
    """Mark a plugin's async method `(ctx)`, with `network=True` `(caller)`, as a job that runs by the calendar.

    `cron` has five fields, read in the time zone `zone`. Of all workers one asks for a slot; slots that were missed
    while nobody worked run once, not each; a run that takes longer than its period is not joined by a second.
    """
    when = Schedule(tag, cron, zone)
    when.check()

    def mark(function: F) -> F:
        setattr(function, _MARK, JobMark(tag, network, attempts, timeout, purpose, when))
        return function

    return mark


def marked(function: Any) -> JobMark | None:
    """Return the mark of a job."""
    mark: JobMark | None = getattr(function, _MARK, None)
    return mark


@dataclass(frozen=True)
class Handler:
    """One method that runs jobs: a listener of an event, or a job."""

    listener: str  # `<plugin>.<method>`, stable in the database
    call: Callable[[Any, Any], Awaitable[None]]
    payload: Any
    purpose: str
    network: bool = False
    attempts: int = 8
    timeout: float = 60.0


@dataclass
class Handlers:
    """All handlers of a kit, by what they handle."""

    listeners: dict[str, list[Handler]] = field(default_factory=dict)
    jobs: dict[str, Handler] = field(default_factory=dict)
    schedules: list[Schedule] = field(default_factory=list)

    def by_name(self) -> dict[str, Handler]:
        """Return every handler by its own name."""
        every = [*self.jobs.values(), *(one for many in self.listeners.values() for one in many)]
        return {handler.listener: handler for handler in every}


async def enqueue(
    ctx: Context,
    function: Callable[..., Awaitable[None]],
    payload: Any,
    *,
    after: timedelta | datetime | None = None,
    key: str | None = None,
    priority: int = 0,
) -> None:
    """Ask for a job in this transaction: it runs if, and only if, the transaction commits.

    `payload` names ids, not texts. `key` is unique among the open jobs of one tag: a second one with it is dropped.
    """
    mark = marked(function)
    if mark is None:
        raise PluginError(f"{function!r} is not a job; mark it with @job")
    ctx.demand_writing("enqueue")
    ctx.session.add(
        OutboxRow(
            id=uuid7(),
            kind="job",
            tag=mark.tag,
            payload=msgspec.json.encode(payload),
            key=key,
            priority=priority,
            run_after=ctx.now() + after if isinstance(after, timedelta) else after,
            tenant=ctx.tenant,
            actor=person.id if (person := ctx.caller.person) else None,
            trace=ctx.caller.request_id,
            created_at=ctx.now(),
        )
    )
    ctx.work.wakes = True
