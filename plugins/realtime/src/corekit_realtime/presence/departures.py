"""Tells the rest of the kit whose last device is gone."""

from datetime import timedelta

from corekit.context import Kit
from corekit.contracts.realtime import WentOffline
from corekit.events import emit
from corekit.values import parse_id
from corekit_realtime.tasks import Tasks

PURPOSE = "realtime.departures"


class Departures:
    """Collects who went in one turn of the loop, and records them in one transaction."""

    def __init__(self, kit: Kit, tasks: Tasks) -> None:
        self._kit = kit
        self._tasks = tasks
        self._untold: list[WentOffline] = []

    def add(self, usr: str, ago: float) -> None:
        """Note who went, so many seconds ago."""
        at = self._kit.clock.now() - timedelta(seconds=ago)
        self._untold.append(WentOffline(user=parse_id("usr", usr), at=at))
        if len(self._untold) == 1:
            self._tasks.spawn(self._tell(), "departures")

    async def _tell(self) -> None:
        untold, self._untold = self._untold, []
        async with self._kit.caller().system(PURPOSE).begin() as ctx:
            for event in untold:
                await emit(ctx, event)
