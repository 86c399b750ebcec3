"""Between nodes: a bus that may lose, repeat and reorder, because durability comes from the database."""

from corekit_realtime.bus.base import Bus, Receive, shard_of
from corekit_realtime.bus.memory import MemoryBus
from corekit_realtime.bus.messages import (
    Ask,
    Changes,
    Digest,
    Disconnect,
    Farewell,
    Message,
    PresenceMessage,
    Published,
    Unsubscribe,
)

__all__ = [
    "Ask",
    "Bus",
    "Changes",
    "Digest",
    "Disconnect",
    "Farewell",
    "MemoryBus",
    "Message",
    "PresenceMessage",
    "Published",
    "Receive",
    "Unsubscribe",
    "shard_of",
]
