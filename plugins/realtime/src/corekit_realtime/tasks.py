"""The tasks of one node, so that none outlives it."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from corekit.watch.logs import get_logger


class Tasks:
    """Starts tasks, keeps them from being collected, logs what none of them should raise."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work, name=f"corekit-realtime-{name}")
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def wait(self, seconds: float) -> None:
        """Wait for all."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=seconds)

    async def finish(self, seconds: float) -> None:
        """Wait for all, then cancel what is left."""
        await self.wait(seconds)
        for task in list(self._running):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            get_logger("corekit.realtime").error("task_failed", exc_info=error, reason=task.get_name())
