"""What a bus is."""

from collections.abc import Callable
from typing import Protocol
from zlib import crc32

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

    async def start(self, restored: Callable[[], None]) -> None:
        """Connect; `restored` is called when a lost connection is back, since messages were missed meanwhile."""
        ...

    async def stop(self) -> None:
        """Send what waits, and hang up."""
        ...

    def publish(self, shard: int, message: bytes) -> None:
        """Hand over a message, which is UTF-8; returns at once."""
        ...

    def subscribe(self, shard: int, receive: Receive) -> None:
        """Hear a shard; one's own messages may come back too."""
        ...

    async def settle(self) -> None:
        """Wait until all that was subscribed to is heard, or for a moment where the bus is down."""
        ...

    def unsubscribe(self, receive: Receive) -> None:
        """Hear nothing any more."""
        ...


def shard_of(channel: str, shards: int) -> int:
    """Spread channels over shards, the same way on every node."""
    return crc32(channel.encode()) % shards
