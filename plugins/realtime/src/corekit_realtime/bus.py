"""Between nodes: a bus that may lose, repeat and reorder, because durability comes from the database."""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID
from zlib import crc32

from msgspec import Raw, Struct

from corekit_realtime.protocol import ClientInfo

Receive = Callable[[bytes], None]


class Bus(Protocol):
    """Carries encoded messages to the nodes that listen to a shard."""

    @property
    def alone(self) -> bool:
        """Whether no other node can hear, so that nothing needs to be encoded."""
        ...

    @property
    def ready(self) -> bool:
        """Whether messages get through now."""
        ...

    def publish(self, shard: int, message: bytes) -> None:
        """Hand over a message; returns at once."""
        ...

    def subscribe(self, shard: int, receive: Receive) -> None:
        """Hear a shard from now on; one's own messages come back too."""
        ...

    def unsubscribe(self, receive: Receive) -> None:
        """Hear nothing any more."""
        ...


class MemoryBus(Bus):
    """For the nodes of one process: normally one, in tests several."""

    def __init__(self) -> None:
        self._receivers: dict[int, list[Receive]] = {}
        self._listeners: set[Receive] = set()

    @property
    def alone(self) -> bool:
        """Whether there is but one listener."""
        return len(self._listeners) <= 1

    @property
    def ready(self) -> bool:
        """Memory is always there."""
        return True

    def publish(self, shard: int, message: bytes) -> None:
        """Call the listeners."""
        for receive in list(self._receivers.get(shard, ())):
            receive(message)

    def subscribe(self, shard: int, receive: Receive) -> None:
        """Add a listener, once."""
        self._listeners.add(receive)
        found = self._receivers.setdefault(shard, [])
        if receive not in found:
            found.append(receive)

    def unsubscribe(self, receive: Receive) -> None:
        """Drop a listener."""
        self._listeners.discard(receive)
        for found in self._receivers.values():
            if receive in found:
                found.remove(receive)


class Published(Struct, frozen=True, tag="p", array_like=True):
    """A publication; `data` is the application's encoded JSON."""

    origin: str
    channel: str
    offset: int
    data: Raw
    info: ClientInfo | None = None


class Unsubscribe(Struct, frozen=True, tag="u", array_like=True):
    """A user's subscriptions to `name` end; it goes to the shard of the user's own channel: all their nodes hear it."""

    origin: str
    channel: str
    user: UUID
    name: str
    code: int


class Disconnect(Struct, frozen=True, tag="d", array_like=True):
    """Connections of a user end, or of one sign-in."""

    origin: str
    channel: str
    user: UUID
    sign_in: UUID | None
    code: int


Message = Published | Unsubscribe | Disconnect


def shard_of(channel: str, shards: int) -> int:
    """Spread channels over shards, the same way on every node."""
    return crc32(channel.encode()) % shards
