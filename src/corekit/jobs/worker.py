"""The worker: relays, claims and runs; every job in its own context, with its own lease, retried with jitter."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from secrets import SystemRandom

import msgspec

from corekit.context import Actor, Caller, Kit
from corekit.data.outbox import JobRow
from corekit.errors import Problem, Refused
from corekit.jobs.marks import Bury, Handler, Handlers, Retry
from corekit.jobs.relay import Relay
from corekit.jobs.rows import LostLease, Rows
from corekit.settings import Settings
from corekit.values import uuid7
from corekit.watch.logs import get_logger, scrub

PURPOSE = "corekit.jobs"


class JobSettings(Settings, frozen=True):
    """`[jobs]`: times in seconds; `worker` says whether this process runs jobs at all.

    `linger` lets a busy outbox fill before it is emptied again: each move takes SQLite's writing slot once.
    """

    worker: bool = True
    concurrency: int = 8
    poll: float = 1.0
    linger: float = 0.05
    lease: float = 30.0
    backoff: float = 1.0
    backoff_max: float = 300.0
    stop: float = 25.0


class Worker:
    """Runs the jobs of one kit until it is stopped; woken by commits of its own process, otherwise by a poll."""

    def __init__(self, kit: Kit, handlers: Handlers, known: frozenset[str], settings: JobSettings) -> None:
        self._kit = kit
        self._handlers = handlers
        self._settings = settings
        self._engine = Rows(uuid7(), settings.lease, handlers.names())
        self._relay = Relay(handlers, self._engine, known)
        self._running: dict[asyncio.Task[None], JobRow] = {}
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._claiming: asyncio.Task[None]
        self._renewing: asyncio.Task[None]
        self._forget: Callable[[], None]
        self._log = get_logger("corekit.jobs")
        self._random = SystemRandom()

    async def start(self) -> None:
        """Begin to work."""
        self._forget = self._kit.database.on_wake(self._woken.set)
        self._claiming = asyncio.create_task(self._forever(self._work), name="corekit-worker")
        self._renewing = asyncio.create_task(self._forever(self._heartbeat, draining=True), name="corekit-heartbeat")

    async def stop(self) -> None:
        """Claim no more, let running jobs finish for a while, give the rest back."""
        self._forget()
        self._stopping.set()
        self._woken.set()
        ended = asyncio.get_running_loop().time() + self._settings.stop
        await asyncio.wait([self._claiming], timeout=self._settings.stop)  # what it is claiming has to be known first
        if self._running:
            await asyncio.wait(list(self._running), timeout=max(0, ended - asyncio.get_running_loop().time()))
        tasks = [*self._running, self._claiming, self._renewing]  # leases are renewed until here
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self, step: Callable[[], Awaitable[None]], *, draining: bool = False) -> None:
        while draining or not self._stopping.is_set():
            try:
                await step()
            except Exception as error:  # noqa: BLE001  # a lost database must not end the worker
                self._log.error("worker_step_failed", error=f"{type(error).__name__}: {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._settings.poll)

    async def _work(self) -> None:
        """Move and claim what there is, then wait to be woken."""
        self._woken.clear()
        free = self._settings.concurrency - len(self._running)
        async with self._system().begin(readonly=True) as ctx:
            outbox, due = await self._relay.waiting(ctx), await self._engine.waiting(ctx)
        moved, claimed = 0, []
        if outbox or (due and free):
            async with self._system().begin() as ctx:
                moved = await self._relay.move(ctx) if outbox else 0
                claimed = await self._engine.claim(ctx, free) if free else []
        for job in claimed:
            task = asyncio.create_task(self._run(job), name=f"job {job.listener}")
            self._running[task] = job
            task.add_done_callback(self._done)
        if moved and not claimed:
            await asyncio.sleep(self._settings.linger)
        elif not claimed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._settings.poll)

    async def _heartbeat(self) -> None:
        await asyncio.sleep(self._settings.lease / 3)
        if self._running:
            async with self._system().begin() as ctx:
                await self._engine.renew(ctx, list(self._running.values()))

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            self._log.error("job_unfinished", error=f"{type(error).__name__}: {error}")  # runs again after its lease

    async def _run(self, job: JobRow) -> None:
        handler = self._handlers.find(job.listener)
        failure: Exception | None = None
        try:
            if handler is None:
                raise Bury("no plugin has this listener")
            if job.attempts > handler.attempts:
                raise Bury("its worker died at every attempt")
            async with asyncio.timeout(handler.timeout):
                await self._call(handler, job)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # nobody stops it: given back, it would come again at once
                await self._failed(handler, job, RuntimeError("it cancelled itself"))
                return
            async with self._system().begin() as ctx:
                await self._engine.release(ctx, job)
            raise
        except LostLease:
            self._log.warning("job_lost_lease", listener=job.listener, job=str(job.id))
        except Exception as error:  # noqa: BLE001  # any failure of a job is data
            failure = error.with_traceback(None)  # its frames hold cursors, and these the database
        if failure is not None:
            await self._failed(handler, job, failure)

    async def _call(self, handler: Handler, job: JobRow) -> None:
        payload = msgspec.json.decode(job.payload, type=handler.payload)
        caller = self._caller(handler, job)
        if handler.network:
            with contextlib.suppress(Refused):  # what it counted is committed, and it is not run again
                await handler.call(caller, payload)
            async with self._system().begin() as ctx:
                await self._engine.finish(ctx, job)
            return
        async with caller.begin() as ctx:
            with contextlib.suppress(Refused):
                await handler.call(ctx, payload)
            await self._engine.finish(ctx, job)

    async def _failed(self, handler: Handler | None, job: JobRow, error: Exception) -> None:
        text = scrub(f"{type(error).__name__}: {error}")[:500]
        last = handler is None or isinstance(error, Bury) or job.attempts >= handler.attempts
        self._log.warning(
            "job_buried" if last else "job_failed",
            listener=job.listener,
            job=str(job.id),
            attempts=job.attempts,
            error=error.slug if isinstance(error, Problem) else type(error).__name__,
        )
        async with self._system().begin() as ctx:
            if last:
                await self._engine.bury(ctx, job, text)
            else:
                await self._engine.again(ctx, job, ctx.now() + self._delay(job, error), text)

    def _delay(self, job: JobRow, error: Exception) -> timedelta:
        """Exponential backoff with full jitter: anything between now and the doubled limit."""
        if isinstance(error, Retry):
            return error.after
        limit = min(self._settings.backoff_max, self._settings.backoff * 2 ** min(job.attempts, 64))
        return timedelta(seconds=self._random.uniform(0, limit))

    def _caller(self, handler: Handler, job: JobRow) -> Caller:
        person = Actor(job.actor) if job.actor is not None and job.actor.int else None
        return Caller(
            self._kit,
            Actor.system(handler.purpose),
            tenant=job.tenant,
            request_id=job.trace or str(uuid7()),
            on_behalf_of=person,
        )

    def _system(self) -> Caller:
        return Caller(self._kit, Actor.system(PURPOSE))
