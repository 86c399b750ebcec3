"""What one node announces of its own clients: a numbered log of who came and went, without what later ones undid."""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from zlib import crc32

import msgspec
from msgspec import Raw, UnsetType

from corekit_realtime.bus.messages import Change, Changes
from corekit_realtime.protocol import ClientInfo

LEFT_MAX = 10_000  # leaves kept for those who are behind; who is further behind begins anew
CHANGES_MAX = 1000  # in one message
SIZE_MAX = 131_072  # bytes of one message, about: NATS takes a megabyte at most
_FIXED = 150  # bytes of a change without its data
_MODULUS = 1 << 53


class Journal:
    """Those who are here, in the order of their numbers, and the last who left.

    Everybody who knows all up to a number gets the changes after it. Whoever knows nothing, or too little, gets all who
    are here: their numbers are changes too.
    """

    def __init__(self, origin: str, *, left_max: int = LEFT_MAX) -> None:
        self.last = 0
        self.checksum = 0
        self._origin = origin
        self._left_max = left_max
        self._present: dict[tuple[str, str], tuple[int, Change]] = {}
        self._left: deque[tuple[int, Change]] = deque()
        self._forgotten = 0  # the number of the last leave that is not kept
        self._sent = 0
        self._asked: int | None = None
        self._backlog: list[tuple[int, Change]] = []  # the next one last

    def enter(self, channel: str, info: ClientInfo) -> None:
        """Note who came."""
        key = channel, info.client
        if self._present.pop(key, None) is None:
            self.checksum = added(self.checksum, *key)
        self.last += 1
        self._present[key] = self.last, Change(channel, info)

    def leave(self, channel: str, client: str) -> bool:
        """Note who went; those of other nodes are not in here."""
        key = channel, client
        if self._present.pop(key, None) is None:
            return False
        self.checksum = removed(self.checksum, *key)
        self.last += 1
        self._left.append((self.last, Change(channel, ClientInfo(client=client))))
        if len(self._left) > self._left_max:
            self._forgotten = self._left.popleft()[0]
        return True

    def ask(self, since: int) -> None:
        """Send what came after a number again, to everybody, when what is being sent is out."""
        self._asked = since if self._asked is None else min(since, self._asked)

    def next(self) -> Changes | None:
        """Return the next message, until all is told."""
        if not self._backlog:
            if self._asked is not None:
                self._sent, self._asked = min(self._sent, self._asked), None
            if self._sent < self._forgotten:
                self._sent = 0
            self._backlog = self._after(self._sent)
            if not self._backlog:
                return None
        since, size = self._sent, 0
        changes: list[Change] = []
        while self._backlog and len(changes) < CHANGES_MAX and size < SIZE_MAX:
            self._sent, change = self._backlog.pop()
            changes.append(change)
            size += _size(change)
        return Changes(self._origin, since, self._sent, self.last, self.checksum, Raw(msgspec.json.encode(changes)))

    def _after(self, number: int) -> list[tuple[int, Change]]:
        """Return what came after a number, the newest first."""
        came = takewhile(lambda one: one[0] > number, reversed(self._present.values()))
        left = takewhile(lambda one: one[0] > number, reversed(self._left))
        return sorted((*came, *left), key=lambda one: one[0], reverse=True)


def added(checksum: int, channel: str, client: str) -> int:
    """Count somebody in; in whatever order, the same people have the same checksum.

    A sum, since the CRCs of two clients in two channels would cancel each other out with XOR.
    """
    return (checksum + _mark(channel, client)) % _MODULUS


def removed(checksum: int, channel: str, client: str) -> int:
    """Count somebody out."""
    return (checksum - _mark(channel, client)) % _MODULUS


def decoded(changes: Raw) -> Sequence[Change]:
    """Read the changes of a message."""
    return msgspec.json.decode(changes, type=tuple[Change, ...])


def _mark(channel: str, client: str) -> int:
    return 1 + crc32(f"{channel} {client}".encode())


def _size(change: Change) -> int:
    info = change.info
    return _FIXED + sum(len(data) for data in (info.conn_info, info.chan_info) if not isinstance(data, UnsetType))
