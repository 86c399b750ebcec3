"""The log of `user:` channels: the last entries in memory, numbered by this node under an epoch of its own."""

from collections import OrderedDict, deque
from collections.abc import Callable

from corekit.contracts.realtime import Publication

ENTRIES = 256
SECONDS = 600.0


class Ring:
    """The last entries of one channel, none older than ten minutes."""

    __slots__ = ("_entries", "last")

    def __init__(self, last: int) -> None:
        self.last = last
        self._entries: deque[tuple[float, Publication]] = deque(maxlen=ENTRIES)

    def append(self, data: bytes, now: float) -> Publication:
        """Number an entry and keep it."""
        self.last += 1
        publication = Publication(data, self.last)
        self._entries.append((now, publication))
        return publication

    def since(self, offset: int, now: float) -> list[Publication]:
        """Return the entries above `offset` that are still kept."""
        while self._entries and self._entries[0][0] < now - SECONDS:
            self._entries.popleft()
        return [entry for _, entry in self._entries if entry.offset > offset]


class Rings:
    """The rings of users who were connected in the last ten minutes; others have nothing to recover."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._rings: dict[str, Ring] = {}
        self._left: OrderedDict[str, float] = OrderedDict()
        self._highest = 0

    def now(self) -> float:
        """Read the clock of the entries."""
        return self._time()

    def hold(self, channel: str) -> Ring:
        """Return a channel's ring, and keep it until `release`.

        A new one begins above every number that a dropped one gave, and leaves one out, so that no old position fits
        it: what was told in between is lost.
        """
        self._left.pop(channel, None)
        ring = self._rings.get(channel)
        if ring is None:
            ring = self._rings[channel] = Ring(self._highest + 1)
        return ring

    def find(self, channel: str) -> Ring | None:
        """Return a channel's ring, if it has one."""
        return self._rings.get(channel)

    def release(self, channel: str) -> None:
        """Note that nobody is connected any more; drop what has been left for long."""
        now = self._time()
        self._left[channel] = now
        while self._left and next(iter(self._left.values())) < now - SECONDS:
            old, _ = self._left.popitem(last=False)
            self._highest = max(self._highest, self._rings.pop(old).last)
