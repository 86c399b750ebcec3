"""Between nodes: a bus that may lose, repeat and reorder, because durability comes from the database."""

from corekit_realtime.bus.base import Bus, Receive, shard_of
from corekit_realtime.bus.memory import MemoryBus
from corekit_realtime.bus.messages import Disconnect, Message, Published, Unsubscribe

__all__ = ["Bus", "Disconnect", "MemoryBus", "Message", "Published", "Receive", "Unsubscribe", "shard_of"]
