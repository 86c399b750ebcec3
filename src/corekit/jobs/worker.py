"""The worker: relays, claims and runs; every job in its own context, with its own lease, retried with jitter."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from corekit.context import Context, Kit
from corekit.jobs.engine import Job, JobEngine, Waiting
from corekit.jobs.listeners import Listeners
from corekit.jobs.marks import Handlers
from corekit.jobs.relay import Relay
from corekit.jobs.runner import Runner, system
from corekit.jobs.schedules import Schedules
from corekit.jobs.settings import JobSettings
from corekit.watch.logs import get_logger


class Worker:
    """Runs the jobs of one kit until it is stopped; woken by commits, otherwise by a poll."""

    def __init__(
        self,
        kit: Kit,
        handlers: Handlers,
        *,
        engine: JobEngine,
        listeners: Listeners,
        known: frozenset[str],
        settings: JobSettings,
    ) -> None:
        self._kit = kit
        self._settings = settings
        self._engine = engine
        self._listeners = listeners
        self._relay = Relay(handlers, engine, listeners, known)
        self._schedules = Schedules(handlers.schedules)
        self._runner = Runner(kit, handlers.by_name(), engine, settings, self._ended)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._over: list[Job] = []  # run, without effects, and still to be ended
        self._alone = False  # what runs killed its worker before: nothing else is claimed meanwhile
        self._told = False  # whether a commit woke
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._claiming: asyncio.Task[None]
        self._renewing: asyncio.Task[None]
        self._forget: Callable[[], None]
        self._log = get_logger("corekit.jobs")

    async def start(self) -> None:
        """Begin to work."""
        self._forget = self._kit.database.on_wake(self.wake)
        self._claiming = asyncio.create_task(self._forever(self._work), name="corekit-worker")
        self._renewing = asyncio.create_task(self._forever(self._heartbeat, draining=True), name="corekit-heartbeat")

    def wake(self) -> None:
        """Work at once: a commit left something."""
        self._told = True
        self._woken.set()

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
        if self._over:
            async with system(self._kit).begin() as ctx:
                await self._engine.finish_all(ctx, self._over)

    async def _forever(self, step: Callable[[], Awaitable[None]], *, draining: bool = False) -> None:
        while draining or not self._stopping.is_set():
            try:
                await step()
            except Exception as error:  # noqa: BLE001  # a lost database must not end the worker
                self._log.error("worker_step_failed", error=f"{type(error).__name__}: {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._settings.poll)

    async def _work(self) -> None:
        """Move, end and claim what there is, then wait to be woken."""
        told, self._told = self._told, False
        self._woken.clear()
        moved, claimed = await self._step() if told or await self._look() else (0, [])
        for job in claimed:
            task = asyncio.create_task(self._runner.run(job), name=f"job {job.listener}")
            self._running[task] = job
            task.add_done_callback(self._done)
        if moved and not claimed:
            await asyncio.sleep(self._settings.linger)
        elif not claimed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._settings.poll)

    async def _step(self) -> tuple[int, list[Job]]:
        """Do it in one context; a commit that woke says that there is something, so nothing is looked at before."""
        over, self._over = self._over, []
        now = self._kit.clock.now()
        scheduled = self._schedules.is_due(now)
        try:
            async with system(self._kit).begin() as ctx:
                await self._engine.finish_all(ctx, over)
                await self._keep_up(ctx, scheduled=scheduled)
                moved = await self._relay.move(ctx)
                waiting = await self._engine.waiting(ctx, self._held())
                claimed = await self._claim(ctx, self._wanted(waiting), waiting)
        except BaseException:
            self._over += over
            raise
        if claimed or not self._running:
            self._alone = bool(claimed) and waiting.suspects
        if scheduled:
            self._schedules.asked(now)
        return moved, claimed

    async def _look(self) -> bool:
        """Tell whether there is anything to do, without waiting for whoever writes."""
        now = self._kit.clock.now()
        if self._over or self._schedules.is_due(now) or self._listeners.is_stale(now):
            return True
        async with system(self._kit).begin(readonly=True) as ctx:
            if await self._relay.waiting(ctx):
                return True
            return self._wanted(await self._engine.waiting(ctx, self._held())) > 0

    async def _keep_up(self, ctx: Context, *, scheduled: bool) -> None:
        if self._listeners.is_stale(ctx.now()):
            await self._listeners.record(ctx)
        if scheduled:
            await self._schedules.ask(ctx)

    def _wanted(self, waiting: Waiting) -> int:
        """Count how many jobs to claim: a suspect waits until nothing else runs or is to be ended, then runs alone."""
        if waiting.suspects:
            return 0 if self._held() else 1
        return self._free() if waiting.due or waiting.expired else 0

    def _free(self) -> int:
        """Count what may be claimed: nothing beside a suspect, and many at once, because a claim costs a commit."""
        free = self._settings.concurrency - len(self._running)
        return free if not self._running or (free >= self._settings.concurrency / 2 and not self._alone) else 0

    async def _claim(self, ctx: Context, wanted: int, waiting: Waiting) -> list[Job]:
        if not wanted:
            return []
        return await self._engine.claim(ctx, wanted, waiting, self._held())

    async def _heartbeat(self) -> None:
        await asyncio.sleep(self._settings.lease / 3)
        if held := self._held():
            async with system(self._kit).begin() as ctx:
                await self._engine.renew(ctx, held)

    def _held(self) -> list[Job]:
        return [*self._running.values(), *self._over]

    def _ended(self, job: Job) -> None:
        self._over.append(job)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if self._over or len(self._running) <= self._settings.concurrency // 2:
            self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            self._log.error("job_unfinished", error=f"{type(error).__name__}: {error}")  # runs again after its lease
