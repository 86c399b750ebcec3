"""One clock for all connections: pings, pongs, deadlines. No connection has a timer of its own."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from weakref import ref

from corekit.values import Clock
from corekit.watch.logs import get_logger
from corekit_realtime.codes import NO_PONG, STALE
from corekit_realtime.connection import Connection
from corekit_realtime.settings import RealtimeSettings

_TICK = 1.0  # seconds at most between two looks


class Heartbeat:
    """A wheel with a slot per tick: a connection is pinged when its slot comes round."""

    def __init__(
        self,
        settings: RealtimeSettings,
        clock: Clock,
        *,
        expired: Callable[[Connection, float], None],
        checks: Iterable[Callable[[], None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._expired = expired
        self._checks = list(checks)
        self._tick = min(
            _TICK, settings.ping / 4, settings.pong_timeout / 2, settings.stale / 4, settings.presence_digest / 4
        )
        self._slots: list[set[Connection]] = [set() for _ in range(max(2, round(settings.ping / self._tick)))]
        self._grace = min(len(self._slots) - 1, max(1, round(settings.pong_timeout / self._tick)))
        self._now = 0
        self._new: dict[Connection, float] = {}
        self._expiries: list[tuple[float, int, ref[Connection]]] = []
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Turn, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._tick, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                self.turn(loop.time())
            except Exception as error:  # noqa: BLE001  # one bad connection must not stop the clock of all
                get_logger("corekit.realtime").exception("heartbeat_failed", error=type(error).__name__)

    def await_connect(self, connection: Connection) -> None:
        """Expect a connect command in time."""
        self._new[connection] = asyncio.get_running_loop().time() + self._settings.stale

    def connected(self, connection: Connection) -> None:
        """Begin to ping; the first comes after a whole round."""
        self._new.pop(connection, None)
        connection.slot = self._now
        self._slots[self._now].add(connection)

    def expire(self, connection: Connection, at: float) -> None:
        """Look at a connection when `at` (Unix seconds) and the grace are over."""
        heapq.heappush(self._expiries, (at + self._settings.expiry_grace, next(self._numbers), ref(connection)))

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._new.pop(connection, None)
        self._slots[connection.slot].discard(connection)

    def turn(self, now: float) -> None:
        """Do what is due."""
        self._now = (self._now + 1) % len(self._slots)
        for connection in list(self._slots[(self._now - self._grace) % len(self._slots)]):
            if connection.awaits_pong:
                connection.close(NO_PONG)
        for connection in list(self._slots[self._now]):
            connection.ping()
        while self._new and (first := next(iter(self._new.items())))[1] <= now:
            del self._new[first[0]]
            first[0].close(STALE)
        self._expire(self._clock.now().timestamp())
        for check in self._checks:
            check()

    def _expire(self, unix: float) -> None:
        while self._expiries and self._expiries[0][0] <= unix:
            connection = heapq.heappop(self._expiries)[2]()
            if connection is not None:
                self._expired(connection, unix - self._settings.expiry_grace)
