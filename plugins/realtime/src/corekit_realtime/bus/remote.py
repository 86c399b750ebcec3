"""A bus over a connection that may be lost: what is published goes out in batches, and the connection comes back."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from corekit.watch.logs import get_logger
from corekit_realtime.bus.base import Bus, Receive

Batch = Sequence[tuple[int, bytes]]
Heard = Callable[[int, bytes], None]
Lost = Callable[[], None]

QUIET = 5.0  # seconds without traffic after which the server is asked whether it is there
STOP = 1.0  # seconds for what waits, when the node stops
SETTLE = 2.0  # seconds a subscription waits to be heard; what is missed in between, the position check repairs
_WAITS_MAX = 16 << 20  # bytes that wait for a lost connection; the oldest go first
_BATCH = 1000
_PAUSE, _PAUSE_MAX = 0.1, 5.0


class LinkLost(Exception):
    """The connection is gone, or never came."""


class Link(Protocol):
    """One connection to a broker; its verbs raise LinkLost."""

    async def listen(self, shards: Iterable[int]) -> None:
        """Hear these shards too; returns when they are heard."""
        ...

    async def send(self, batch: Batch) -> None:
        """Hand messages over, in their order."""
        ...

    async def ping(self) -> None:
        """Ask whether the broker is there."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class RemoteBus(Bus):
    """One per node. `dial` opens a link, which calls `Heard` with each message and `Lost` when the broker hangs up."""

    def __init__(self, name: str, dial: Callable[[Heard, Lost], Awaitable["Link"]]) -> None:
        self._name = name
        self._dial = dial
        self._receivers: dict[int, list[Receive]] = {}
        self._heard_now: set[int] = set()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._dropped = 0
        self._link: Link | None = None
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()
        self._task: asyncio.Task[None] | None = None
        self._restored: Callable[[], None]
        self._log = get_logger("corekit.realtime")

    @property
    def alone(self) -> bool:
        """Whoever is out there may hear."""
        return False

    @property
    def ready(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    async def start(self, restored: Callable[[], None]) -> None:
        """Connect, or go on trying behind the start."""
        self._restored = restored
        self._task = asyncio.create_task(self._forever(), name=f"corekit-bus-{self._name}")

    async def stop(self) -> None:
        """Give what waits a moment."""
        if self._task is None:
            return
        if self._link is not None:
            try:
                async with asyncio.timeout(STOP):
                    await self._sent.wait()
            except TimeoutError:
                self._log.warning("bus_stopped_early", reason=self._name, count=len(self._waiting))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def publish(self, shard: int, message: bytes) -> None:
        """Queue a message."""
        self._waiting.append((shard, message))
        self._size += len(message)
        while self._size > _WAITS_MAX:
            self._size -= len(self._waiting.popleft()[1])
            self._dropped += 1
        self._sent.clear()
        self._work.set()

    def subscribe(self, shard: int, receive: Receive) -> None:
        """Add a listener, once; a shard that was needed once is heard from then on."""
        found = self._receivers.setdefault(shard, [])
        if receive not in found:
            found.append(receive)
        if shard not in self._heard_now:
            self._settled.clear()
            self._work.set()

    async def settle(self) -> None:
        """Wait for the broker's word."""
        if self._heard_now >= self._receivers.keys():
            return
        try:
            async with asyncio.timeout(SETTLE):
                await self._settled.wait()
        except TimeoutError:
            self._log.warning("bus_not_settled", reason=self._name)

    def unsubscribe(self, receive: Receive) -> None:
        """Drop a listener."""
        for found in self._receivers.values():
            if receive in found:
                found.remove(receive)

    def _hear(self, shard: int, message: bytes) -> None:
        for receive in list(self._receivers.get(shard, ())):
            receive(message)

    async def _forever(self) -> None:
        pause, again = _PAUSE, False
        while True:
            gone = asyncio.Event()

            def lost(gone: asyncio.Event = gone) -> None:
                gone.set()
                self._work.set()

            try:
                link = await self._dial(self._hear, lost)
                try:
                    await self._listen(link)
                    self._link, pause = link, _PAUSE
                    if again:
                        self._log.info("bus_restored", reason=self._name, count=self._dropped)
                        self._dropped = 0
                        self._restored()
                    await self._attend(link, gone)
                finally:
                    self._link = None
                    self._heard_now.clear()
                    self._settled.clear()
                    await link.close()
            except Exception as error:  # noqa: BLE001  # whatever a driver raises, the bus comes back
                if pause == _PAUSE:  # once, not with each attempt
                    known = isinstance(error, LinkLost)
                    self._log.warning(
                        "bus_lost", reason=self._name, error=str(error) if known else type(error).__name__
                    )
            again = True
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # spreads the comers-back
            pause = min(2 * pause, _PAUSE_MAX)

    async def _attend(self, link: Link, gone: asyncio.Event) -> None:
        """Work for one connection until it is lost."""
        while True:
            try:
                async with asyncio.timeout(QUIET):
                    await self._work.wait()
            except TimeoutError:
                await link.ping()
            self._work.clear()
            if gone.is_set():
                raise LinkLost("the broker hung up")
            await self._listen(link)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                self._size -= sum(len(message) for _, message in batch)
                await link.send(batch)
            self._sent.set()

    async def _listen(self, link: Link) -> None:
        wanted = self._receivers.keys() - self._heard_now
        if wanted:
            await link.listen(sorted(wanted))
            self._heard_now |= wanted
        if self._heard_now >= self._receivers.keys():
            self._settled.set()
