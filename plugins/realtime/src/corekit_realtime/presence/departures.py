"""Tells the rest of the kit whose last device is gone."""

import asyncio
from collections import deque
from datetime import timedelta

from corekit.context import Kit
from corekit.contracts.realtime import WentOffline
from corekit.events import emit
from corekit.values import parse_id
from corekit.watch import get_logger
from corekit_realtime.tasks import Tasks

PURPOSE = "realtime.departures"
_AT_ONCE, _WAITING_MAX = 200, 100_000
_AGAIN = 5.0  # seconds until the database is asked again


class Departures:
    """Collects who went, and records some at a time; while the database is away they wait."""

    def __init__(self, kit: Kit, tasks: Tasks) -> None:
        self._kit = kit
        self._tasks = tasks
        self._untold: deque[WentOffline] = deque(maxlen=_WAITING_MAX)
        self._telling: asyncio.Task[None] | None = None

    def add(self, usr: str, ago: float) -> None:
        """Note who went, so many seconds ago."""
        at = self._kit.clock.now() - timedelta(seconds=ago)
        self._untold.append(WentOffline(user=parse_id("usr", usr), at=at))
        if self._telling is None or self._telling.done():
            self._telling = self._tasks.spawn(self._tell(), "departures")

    async def _tell(self) -> None:
        while self._untold:
            some = [self._untold.popleft() for _ in range(min(len(self._untold), _AT_ONCE))]
            try:
                async with self._kit.caller().system(PURPOSE).begin() as ctx:
                    for event in some:
                        await emit(ctx, event)
            except Exception as error:  # noqa: BLE001  # whatever it is, they are gone all the same
                get_logger("corekit.realtime").warning("departures_wait", error=type(error).__name__, count=len(some))
                self._untold.extendleft(reversed(some))
                await asyncio.sleep(_AGAIN)
