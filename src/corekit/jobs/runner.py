"""Running one job: its handler in a context of its own, and what becomes of the job afterwards."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from secrets import SystemRandom

import msgspec

from corekit.context import Actor, Caller, Kit
from corekit.data.outbox import Delivery
from corekit.errors import Problem, Refused
from corekit.jobs.engine import Job, JobEngine, LostLease
from corekit.jobs.marks import Bury, Handler, Retry
from corekit.jobs.settings import JobSettings
from corekit.values import uuid7
from corekit.watch.logs import get_logger, scrub

PURPOSE = "corekit.jobs"


def system(kit: Kit) -> Caller:
    """Return who works on everybody's jobs."""
    return Caller(kit, Actor.system(PURPOSE))


class Runner:
    """Runs jobs; `ended` is told of those that left nothing in the database, so that they are ended in batches."""

    def __init__(
        self,
        kit: Kit,
        handlers: Mapping[str, Handler],
        engine: JobEngine,
        settings: JobSettings,
        ended: Callable[[Job], None],
    ) -> None:
        self._kit = kit
        self._handlers = handlers
        self._engine = engine
        self._settings = settings
        self._ended = ended
        self._contexts = asyncio.Semaphore(settings.contexts)
        self._log = get_logger("corekit.jobs")
        self._random = SystemRandom()

    async def run(self, job: Job) -> None:
        """Run a job to its end, whatever that is; only being stopped is raised, after the job was given back."""
        handler = self._handlers.get(job.listener)
        failure: Exception | None = None
        try:
            if handler is None:
                raise Bury("no plugin has this listener")
            if job.attempts > handler.attempts:
                raise Bury("its worker died at every attempt")
            async with self._room(handler), asyncio.timeout(handler.timeout):
                await self._call(handler, job)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # nobody stops it: given back, it would come again at once
                await self._failed(handler, job, RuntimeError("it cancelled itself"))
                return
            async with system(self._kit).begin() as ctx:
                await self._engine.release(ctx, [job])
            raise
        except LostLease:
            self._log.warning("job_lost_lease", listener=job.listener, job=str(job.id))
        except Exception as error:  # noqa: BLE001  # any failure of a job is data
            failure = error.with_traceback(None)  # its frames hold cursors, and these the database
        if failure is not None:
            await self._failed(handler, job, failure)

    def _room(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Wait for a free connection here, where no clock of the job's own runs yet."""
        return contextlib.nullcontext() if handler.network else self._contexts

    async def _call(self, handler: Handler, job: Job) -> None:
        payload = msgspec.json.decode(job.payload, type=handler.payload)
        caller = self._caller(handler, job)
        if handler.network:
            with contextlib.suppress(Refused):  # what it counted is committed, and it is not run again
                await handler.call(caller, payload)
            self._ended(job)
            return
        async with caller.begin() as ctx:
            with contextlib.suppress(Refused):
                await handler.call(ctx, payload)
            idle = ctx.work.untouched
            if not idle:
                await self._engine.finish(ctx, job)
        if idle:
            self._ended(job)

    async def _failed(self, handler: Handler | None, job: Job, error: Exception) -> None:
        text = scrub(f"{type(error).__name__}: {error}")[:500]
        last = handler is None or isinstance(error, Bury) or job.attempts >= handler.attempts
        self._log.warning(
            "job_buried" if last else "job_failed",
            listener=job.listener,
            job=str(job.id),
            attempts=job.attempts,
            error=error.slug if isinstance(error, Problem) else type(error).__name__,
        )
        async with system(self._kit).begin() as ctx:
            if last:
                await self._engine.bury(ctx, job, text)
            else:
                await self._engine.again(ctx, job, ctx.now() + self._delay(job, error), text)

    def _delay(self, job: Job, error: Exception) -> timedelta:
        """Exponential backoff with full jitter: anything between now and the doubled limit."""
        if isinstance(error, Retry):
            return error.after
        limit = min(self._settings.backoff_max, self._settings.backoff * 2 ** min(job.attempts, 64))
        return timedelta(seconds=self._random.uniform(0, limit))

    def _caller(self, handler: Handler, job: Job) -> Caller:
        person = Actor(job.actor) if job.actor is not None and job.actor.int else None
        return Caller(
            self._kit,
            Actor.system(handler.purpose),
            tenant=job.tenant,
            request_id=job.trace or str(uuid7()),
            on_behalf_of=person,
            delivery=Delivery(job.listener, job.origin or job.id, job.attempts),
        )
