"""`corekit serve --workers N`: processes that share one listening socket, and who looks after them."""

import asyncio
import random
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from corekit.errors import WorkersFailed
from corekit.watch.logs import get_logger
from corekit.web.worker import Worker

STEADY = 10.0  # seconds after which a worker that ends has not failed to start
PAUSE, PAUSE_MAX = 0.5, 30.0  # seconds before the next start, doubled with each failure, shortened by up to half
TRIES = 5  # failures in a row before the supervisor gives up, if nobody serves
FINAL = (2, 3)  # exit codes of configuration and database: another try ends alike
_ROLL = 120.0  # seconds in which a successor has to be ready
_HURRY = 5.0  # seconds for a worker that was told to end at once


class Slot:
    """The place of one worker: another one follows whoever ends there.

    `start` gives None where the system starts no process; `failed` is told how a worker ended soon after its start.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Worker | None]],
        came_up: Callable[[Worker], None],
        failed: Callable[["Slot", int | None], None],
    ) -> None:
        self.failures = 0
        self.up = asyncio.Event()
        self._start = start
        self._came_up = came_up
        self._failed = failed
        self._asked: asyncio.Queue[asyncio.Future[Worker | None]] = asyncio.Queue()
        self._worker: Worker

    async def keep(self) -> None:
        """Keep a worker up, for ever."""
        while True:
            worker = await self._start()
            steady = worker is not None and await self._live(worker)
            self.failures = 0 if steady else self.failures + 1
            if self.failures:
                self._failed(self, None if worker is None else self._worker.gone.result())
                pause = min(PAUSE_MAX, PAUSE * 2 ** (self.failures - 1))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # spreads the starts

    async def _live(self, worker: Worker) -> bool:
        """See a worker, or who came after it, to the end; tell whether that one was up for long."""
        self._worker = worker
        if await worker.comes_up():
            self.up.set()
            self._came_up(worker)
            await self._attend()
            self.up.clear()
        await asyncio.wait({self._worker.gone})
        since = self._worker.up_since
        return since is not None and asyncio.get_running_loop().time() - since >= STEADY

    async def replace(self) -> Worker | None:
        """Put a new worker into the place and return who had it; None if the new one did not come up."""
        answer: asyncio.Future[Worker | None] = asyncio.get_running_loop().create_future()
        await self._asked.put(answer)
        return await answer

    async def _attend(self) -> None:
        """Watch the worker, and change it where that is asked for, until the one of the day ends."""
        while not self._worker.gone.done():
            asked = asyncio.create_task(self._asked.get())
            try:
                await asyncio.wait({self._worker.gone, asked}, return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    asked.result().set_result(await self._succession())
            finally:
                asked.cancel()

    async def _succession(self) -> Worker | None:
        successor = await self._start()
        if successor is None:
            return None
        try:
            async with asyncio.timeout(_ROLL):
                ready = await successor.comes_up() == "ready"
        except TimeoutError:
            ready = False
        if not ready:
            await successor.stop(_HURRY)
            return None
        before, self._worker = self._worker, successor
        self._came_up(successor)
        return before


class Supervisor:
    """Starts the first worker, then the others; replaces whoever dies; changes one after the other on SIGHUP.

    `patience` is how long a worker may take to drain, in seconds.
    """

    def __init__(self, command: Sequence[str], listener: socket.socket, count: int, *, patience: float) -> None:
        self._command = command
        self._listener = listener
        self._count = count
        self._patience = patience
        self._slots: list[Slot] = []
        self._workers: set[Worker] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._first = True  # whether the next one comes up before the others
        self._served = False  # whether one has come up
        self._roll_asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._over: asyncio.Future[int]
        self._log = get_logger("corekit.supervisor")

    async def run(self) -> int:
        """Supervise until SIGTERM or SIGINT, and return the exit code; a second signal ends the workers at once.

        Raises:
            WorkersFailed: no worker stays up.

        """
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end, number)
        loop.add_signal_handler(signal.SIGHUP, self._roll_asked.set)
        self._spawn(self._bring_up())
        self._spawn(self._roll_when_asked())
        try:
            return await self._over
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._end_all()
            if self._served:
                self._log.info("stopped")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what goes on until the end; its fault is the supervisor's."""

        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None and not self._over.done():
                self._over.set_exception(error)

        task = asyncio.create_task(work)
        task.add_done_callback(done)
        self._tasks.append(task)

    async def _bring_up(self) -> None:
        for number in range(1, self._count + 1):
            slot = Slot(partial(self._start, number), self._on_up, self._on_failed)
            self._slots.append(slot)
            self._spawn(slot.keep())
            await self._slots[0].up.wait()
            self._first = False

    async def _start(self, number: int) -> Worker | None:
        try:
            worker = await Worker.start(self._command, self._listener, number, self._count, first=self._first)
        except OSError as error:  # no memory, no descriptors, or an installation that is just being changed
            self._log.error("worker_not_started", worker=number, error=type(error).__name__)
            return None
        self._workers.add(worker)
        worker.gone.add_done_callback(lambda gone: self._on_gone(worker, gone.result()))
        return worker

    def _on_up(self, worker: Worker) -> None:
        self._served = True
        self._log.info("worker_started", worker=worker.number, pid=worker.pid)

    def _on_gone(self, worker: Worker, code: int) -> None:
        self._workers.discard(worker)
        if self._served or code not in FINAL:  # else it said itself what is wrong
            log = self._log.warning if code else self._log.info
            log("worker_ended", worker=worker.number, pid=worker.pid, code=code)

    def _on_failed(self, slot: Slot, code: int | None) -> None:
        if self._over.done():
            return
        if code in FINAL and not self._served:
            self._over.set_result(code)
        elif slot.failures >= TRIES and not any(each.up.is_set() for each in self._slots):
            self._over.set_exception(WorkersFailed(f"no worker stays up: {TRIES} attempts, the last {_how(code)}"))

    async def _roll_when_asked(self) -> None:
        while True:
            await self._roll_asked.wait()
            self._roll_asked.clear()
            self._log.info("rolling", count=len(self._slots))
            self._log.info("rolled" if await self._roll() else "roll_stopped")

    async def _roll(self) -> bool:
        """Put a successor in each place, one after the other; stop at one that is not ready."""
        for number, slot in enumerate(self._slots):
            self._first = number == 0
            before = await slot.replace()
            self._first = False
            if before is None:
                return False
            self._log.info("worker_replaced", worker=before.number, pid=before.pid)
            before.leave()
            if not (await asyncio.wait({before.gone}, timeout=self._patience))[0]:
                await before.stop(_HURRY)
        return True

    def _on_end(self, number: signal.Signals) -> None:
        if self._over.done():
            self._log.info("stopping_at_once", signal=signal.Signals(number).name)
            self._hurry.set()
        else:
            self._log.info("draining", signal=signal.Signals(number).name)
            self._over.set_result(0)

    async def _end_all(self) -> None:
        """Let all drain together; who takes too long, or is in the way of a second signal, ends at once."""
        for worker in self._workers:
            worker.drain()
        hurry = asyncio.create_task(self._hurry.wait())
        ended = asyncio.gather(*(worker.gone for worker in self._workers))
        either: set[asyncio.Future[Any]] = {hurry, ended}
        await asyncio.wait(either, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        await asyncio.gather(*(worker.stop(_HURRY) for worker in self._workers))
        await ended


def _how(code: int | None) -> str:
    if code is None:
        return "could not start a process"
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
