"""SQLite's one writer per process: whose turn it is, among tasks and the group writer's thread."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from corekit.errors import Unavailable


class WritingSlot:
    """First come, first served. A task awaits `acquire`, a thread blocks in `held`; anybody may `release`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[Callable[[], object]] = deque()

    async def acquire(self) -> None:
        """Wait for the slot; a task that is cancelled meanwhile does not get it."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()

        def granted() -> None:
            if turn.cancelled():
                self.release()
            else:
                turn.set_result(None)

        if self._take_or_wait(lambda: loop.call_soon_threadsafe(granted)):
            return
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was granted in the same moment
                self.release()
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the slot in a thread."""
        turn = threading.Lock()
        turn.acquire()
        if not self._take_or_wait(turn.release):
            turn.acquire()
        try:
            yield
        finally:
            self.release()

    async def __aenter__(self) -> None:
        """Hold the slot in a task."""
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def release(self) -> None:
        """Hand the slot to whoever has waited longest."""
        with self._lock:
            grant = self._waiting.popleft() if self._waiting else None
            self._taken = grant is not None
        if grant is not None:
            grant()

    def _take_or_wait(self, grant: Callable[[], object]) -> bool:
        with self._lock:
            if self._taken:
                self._waiting.append(grant)
                return False
            self._taken = True
            return True


class HoldLimit:
    """How long a task may keep the slot: then it is cancelled where it waits, and its work rolled back."""

    def __init__(self, task: asyncio.Task[Any] | None, seconds: float) -> None:
        self._task = task
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._passed = False

    def begin(self) -> None:
        """Count from now."""
        if self._timer is None and self._task is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._pass)

    def end(self) -> None:
        """Count no more: what has come to its commit ends by itself."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._passed:
            self._task = None

    def demand(self) -> None:
        """Turn the cancellation into what it means, unless somebody else has cancelled the task too.

        Raises:
            Unavailable: the time has passed.

        """
        passed, self._passed = self._passed, False
        if passed and self._task is not None and not self._task.uncancel():
            raise Unavailable("it took too long while nobody else could write; it was rolled back")

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()
