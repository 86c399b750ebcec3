"""Recovery: where a channel's log stands, and what a client missed."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw

from corekit.context import Context
from corekit.contracts.realtime import ChannelLog
from corekit.contracts.realtime import Publication as Entry
from corekit_realtime.channel import Channel
from corekit_realtime.codes import UNRECOVERABLE_POSITION, Refusal
from corekit_realtime.protocol import REJECT_UNRECOVERED, Publication, SubscribeRequest, SubscribeResult
from corekit_realtime.ring import Ring
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.stats import Stats

_ENVELOPE = 64  # bytes around the data of one publication, counted with it


class Source(Protocol):
    """Where missed entries come from."""

    async def position(self) -> tuple[str, int]:
        """Return (epoch, last offset)."""
        ...

    async def since(self, offset: int, limit: int) -> Sequence[Entry] | None:
        """Return what is above `offset`, or None where some of it is lost."""
        ...

    async def page(self, offset: int, limit: int) -> Sequence[Entry]:
        """Return what is left above `offset`."""
        ...


class LogSource:
    """A plugin's log, read as the subscriber."""

    def __init__(self, log: ChannelLog, channel: Channel, ctx: Context) -> None:
        self._log = log
        self._id = channel.id
        self._ctx = ctx

    async def position(self) -> tuple[str, int]:
        """Ask the log."""
        return await self._log.position(self._ctx, self._id)

    async def since(self, offset: int, limit: int) -> Sequence[Entry] | None:
        """Ask the log."""
        return await self.page(offset, limit)

    async def page(self, offset: int, limit: int) -> Sequence[Entry]:
        """Ask the log."""
        return await self._log.since(self._ctx, self._id, offset, limit)


class RingSource:
    """The memory of this node."""

    def __init__(self, ring: Ring, epoch: str, now: float) -> None:
        self._ring = ring
        self._epoch = epoch
        self._now = now

    async def position(self) -> tuple[str, int]:
        """Return the ring's end."""
        return self._epoch, self._ring.last

    async def since(self, offset: int, limit: int) -> Sequence[Entry] | None:
        """Return the entries, if all are still there."""
        found = await self.page(offset, self._ring.last)
        return found[:limit] if len(found) == self._ring.last - offset else None

    async def page(self, offset: int, limit: int) -> Sequence[Entry]:
        """Return the entries that are still there."""
        return self._ring.since(offset, self._now)[:limit]


class Recovery:
    """Answers subscriptions."""

    def __init__(self, settings: RealtimeSettings, stats: Stats, *, epoch: str, time: Callable[[], float]) -> None:
        self._rows = settings.recover_rows
        self._bytes = settings.recover_bytes
        self._stats = stats
        self._epoch = epoch
        self._time = time

    def source(self, channel: Channel, ctx: Context) -> Source | None:
        """Return where a channel's entries are kept, if anywhere."""
        if channel.ring is not None:
            return RingSource(channel.ring, self._epoch, self._time())
        return None if channel.log is None else LogSource(channel.log, channel, ctx)

    async def answer(self, source: Source | None, request: SubscribeRequest) -> SubscribeResult:
        """Tell the position, and what was missed if it is known and not too much.

        Raises:
            Refusal: nothing can be recovered, and the client wants an error then.

        """
        if source is None:
            if request.recover and request.flag & REJECT_UNRECOVERED:
                raise Refusal(UNRECOVERABLE_POSITION)
            return SubscribeResult(was_recovering=request.recover)
        epoch, last = await source.position()
        result = SubscribeResult(recoverable=True, positioned=True, epoch=epoch, offset=last)
        if not request.recover:
            return result
        result.was_recovering = True
        missed = await self._missed(source, request, epoch, last)
        if missed is None:
            self._stats.not_recovered += 1
            if request.flag & REJECT_UNRECOVERED:
                raise Refusal(UNRECOVERABLE_POSITION)
            return result
        self._stats.recovered += 1
        result.recovered = True
        result.publications = [publication(entry) for entry in missed]
        if missed:
            result.offset = max(last, missed[-1].offset)
        return result

    async def _missed(self, source: Source, request: SubscribeRequest, epoch: str, last: int) -> Sequence[Entry] | None:
        if request.epoch != epoch or request.offset > last or last - request.offset > self._rows:
            return None
        found = await source.since(request.offset, self._rows + 1) if request.offset < last else []
        if found is None or len(found) > self._rows:
            return None
        return found if sum(len(entry.data) + _ENVELOPE for entry in found) <= self._bytes else None


def publication(entry: Entry) -> Publication:
    """Write an entry for the wire."""
    return Publication(data=Raw(compact(entry.data)), offset=entry.offset)


def compact(data: bytes) -> bytes:
    """Take line breaks out of encoded JSON: they separate messages."""
    if b"\n" not in data:
        return data
    return msgspec.json.format(data, indent=-1)
