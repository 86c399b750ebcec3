"""SQLite's one writer per process: whose turn it is, among tasks and the group writer's thread."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
