"""What goes to Centrifugo: in order per channel, in batches, tried again; nobody waits for it."""

import asyncio
import contextlib
import random
import time
from collections import deque

from msgspec import Struct

from corekit.watch.logs import get_logger
from corekit_realtime.bus import shard_of
from corekit_realtime.centrifugo.api import INTERNAL, ApiFailed, ServerApi
from corekit_realtime.centrifugo.calls import Call
from corekit_realtime.settings import RealtimeSettings

_BATCH = 100  # commands of one request
_BATCH_BYTES = 524_288
_BACKOFF, _BACKOFF_MAX = 0.1, 5.0  # seconds
_COMMAND_PATIENCE = 600.0  # seconds; by then Centrifugo has asked itself whether people may stay


class Outgoing(Struct, frozen=True):
    """A command on its way: it overtakes none of its `key`, and is not worth sending after `until` (monotonic)."""

    call: Call
    key: str
    size: int = 0
    offset: int = 0
    until: float = 0.0


class Sender:
    """Several lanes; a key is always on the same one, so that its commands keep their order.

    Where Centrifugo does one command of a batch and fails within another, the second comes later: bodies have a `seq`.
    """

    def __init__(self, api: ServerApi, settings: RealtimeSettings) -> None:
        self.sent = 0
        self.dropped = 0
        self._api = api
        self._most = settings.centrifugo_queue
        self._patience = settings.centrifugo_patience
        self._lanes = [Lane(self) for _ in range(settings.centrifugo_senders)]
        self._log = get_logger("corekit.realtime")

    @property
    def waiting(self) -> int:
        """How many commands have not been answered."""
        return sum(len(lane.pending) for lane in self._lanes)

    def publication(self, call: Call, key: str, size: int, offset: int) -> None:
        """Take a publication; while too many wait, or after its time, it is dropped: the database has what it told."""
        self._put(Outgoing(call, key, size, offset, time.monotonic() + self._patience), self._most)

    def command(self, call: Call, key: str) -> None:
        """Take a command that ends something: there is more room for it, and more time."""
        self._put(Outgoing(call, key, until=time.monotonic() + _COMMAND_PATIENCE), 2 * self._most)

    async def send(self, batch: list[Outgoing]) -> list[Outgoing]:
        """Send a batch; return what is to be tried again (ApiFailed: all of it, later)."""
        now = time.monotonic()
        fresh = [one for one in batch if one.until > now]
        for _ in range(len(batch) - len(fresh)):
            self.drop("no answer in time")
        if not fresh:
            return []
        try:
            replies = await self._api.batch([one.call for one in fresh])
        except ApiFailed as failure:
            if not failure.lasting:
                raise
            if len(fresh) == 1:
                self.drop(str(failure))
                return []
            return [left for one in fresh for left in await self.send([one])]
        left = []
        for one, reply in zip(fresh, replies, strict=True):
            if reply.error is None:
                self.sent += 1
            elif reply.error.code == INTERNAL:
                left.append(one)
            else:
                self.drop(f"{reply.error.code} {reply.error.message}", one.key)
        return left

    def drop(self, why: str, key: str = "") -> None:
        """Count and tell what is lost."""
        self.dropped += 1
        self._log.error("centrifugo_dropped", reason=why, channel_namespace=key.partition(":")[0], count=self.dropped)

    async def stop(self, seconds: float) -> None:
        """Send what waits, as long as there is time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for lane in self._lanes:
                    await lane.empty.wait()
        for lane in self._lanes:
            await lane.stop()
        if self.waiting:
            self._log.error("centrifugo_unsent", count=self.waiting)

    def _put(self, one: Outgoing, most: int) -> None:
        if self.waiting >= most:
            self.drop("queue full", one.key)
            return
        self._lanes[shard_of(one.key, len(self._lanes))].put(one)


class Lane:
    """One request at a time."""

    def __init__(self, sender: Sender) -> None:
        self.pending: deque[Outgoing] = deque()
        self.empty = asyncio.Event()
        self.empty.set()
        self._sender = sender
        self._task: asyncio.Task[None] | None = None

    def put(self, one: Outgoing) -> None:
        """Queue a command."""
        self.pending.append(one)
        self.empty.clear()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="corekit-realtime-centrifugo")

    async def stop(self) -> None:
        """Send nothing more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        attempt = 0
        while self.pending:
            batch = in_order(self._take())
            try:
                left = await self._sender.send(batch)
            except ApiFailed as failure:
                left = batch
                if not attempt:
                    get_logger("corekit.realtime").warning("centrifugo_failed", error=str(failure), count=len(batch))
            for _ in batch:
                self.pending.popleft()
            self.pending.extendleft(reversed(left))
            attempt = attempt + 1 if left else 0
            if left:
                await asyncio.sleep(random.uniform(0, min(_BACKOFF_MAX, _BACKOFF * 2**attempt)))  # noqa: S311
        self.empty.set()

    def _take(self) -> list[Outgoing]:
        batch: list[Outgoing] = []
        size = 0
        for one in self.pending:
            if batch and (len(batch) == _BATCH or size + one.size > _BATCH_BYTES):
                break
            batch.append(one)
            size += one.size
        return batch


def in_order(batch: list[Outgoing]) -> list[Outgoing]:
    """Give the publications of each channel the order of their offsets, at the places that they have together."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(batch):
        if one.offset:
            places.setdefault(one.key, []).append(place)
    ordered = list(batch)
    for its in places.values():
        for place, one in zip(its, sorted((batch[place] for place in its), key=lambda one: one.offset), strict=True):
            ordered[place] = one
    return ordered
