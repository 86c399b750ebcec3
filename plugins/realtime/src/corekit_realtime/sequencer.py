"""The sequencer: every publication of a recoverable channel once and in order, whatever order they come in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from corekit.contracts.realtime import Publication
from corekit.watch.logs import get_logger
from corekit_realtime.tasks import Tasks

Deliver = Callable[[Publication], None]
Read = Callable[[int, int], Awaitable[Sequence[Publication]]]

_PATIENCE = 0.005  # seconds; what overtook on its way to here comes by itself, and that is cheaper than a read
_TRIES = 4
_PAUSE = 0.1  # seconds before the log is read again


class Sequencer:
    """One per recoverable channel that somebody on this node hears.

    At or below the last offset: drop. The next one: deliver. Beyond: keep it and read what is between from the log, one
    read at a time; where that cannot be had, `fail` sends the subscribers back to recovery.
    """

    def __init__(
        self,
        deliver: Deliver,
        read: Read,
        fail: Callable[[], None],
        *,
        tasks: Tasks,
        rows_max: int,
        patience: float = _PATIENCE,
    ) -> None:
        self.epoch = ""
        self.last = 0
        self.started = False
        self.closed = False
        self._deliver = deliver
        self._read = read
        self._fail = fail
        self._tasks = tasks
        self._rows_max = rows_max
        self._patience = patience
        self._early: dict[int, Publication] = {}
        self._target = 0
        self._reading = False

    def start(self, epoch: str, last: int) -> None:
        """Begin after a position that was read from the log while publications were already kept."""
        self.epoch, self.last, self.started = epoch, last, True
        self._early = {offset: entry for offset, entry in self._early.items() if offset > last}
        self._go_on()

    def accept(self, publication: Publication) -> None:
        """Take a publication from wherever it came."""
        offset = publication.offset
        if self.closed:
            return
        if self.started and offset == self.last + 1:
            self.last = offset
            self._deliver(publication)
            if self._early:
                self._go_on()
        elif offset > self.last or not self.started:
            self._early[offset] = publication
            self._bound()
            if self.started:
                self.learn(offset)

    def learn(self, last: int) -> None:
        """Hear that the log reaches at least to here."""
        if self.closed or last <= self.last:
            return
        self._target = max(self._target, last)
        if not self._reading:
            self._reading = True
            self._tasks.spawn(self._catch_up(), "gap")

    def close(self) -> None:
        """Deliver nothing more."""
        self.closed = True

    def _go_on(self) -> None:
        """Deliver what is in order, and have the rest read."""
        while not self.closed and (entry := self._early.pop(self.last + 1, None)) is not None:
            self.last = entry.offset
            self._deliver(entry)
        self.learn(max(self._early, default=self._target))

    def _bound(self) -> None:
        """Drop the farthest ones: the log has them."""
        if len(self._early) > self._rows_max:
            farthest = max(self._early)
            self._target = max(self._target, farthest)
            del self._early[farthest]

    async def _catch_up(self) -> None:
        try:
            await asyncio.sleep(self._patience)
            tries = 0
            while self._target > self.last and not self.closed:
                if tries == _TRIES or self._target - self.last > self._rows_max:
                    self.closed = True
                    self._fail()
                    return
                before = self.last
                await self._read_once()
                if self.last == before:
                    tries += 1
                    await asyncio.sleep(_PAUSE * tries)
        finally:
            self._reading = False

    async def _read_once(self) -> None:
        try:
            found = await self._read(self.last, self._target - self.last)
        except Exception as error:  # noqa: BLE001  # whatever a log raises, it is asked again
            get_logger("corekit.realtime").warning("gap_read_failed", error=f"{type(error).__name__}: {error}")
            return
        self._early |= {entry.offset: entry for entry in found}
        self._early = {offset: entry for offset, entry in self._early.items() if offset > self.last}
        self._go_on()
