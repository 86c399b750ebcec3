"""The bus of one process."""

from collections.abc import Callable

from corekit_realtime.bus.base import Bus, Receive


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

    async def start(self, restored: Callable[[], None]) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing waits."""

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

    async def settle(self) -> None:
        """A listener hears from the moment it is added."""

    def unsubscribe(self, receive: Receive) -> None:
        """Drop a listener."""
        self._listeners.discard(receive)
        for found in self._receivers.values():
            if receive in found:
                found.remove(receive)
