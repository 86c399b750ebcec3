"""What other plugins see of the gateway."""

import inspect
from collections.abc import Iterable
from uuid import UUID

import msgspec
from msgspec import UnsetType

from corekit.context import Context
from corekit.contracts.realtime import ChannelLog, ClientInfo, Namespace, Online, Presence, Realtime, Surface
from corekit_realtime.channels import Namespaces, Place
from corekit_realtime.codes import Refusal
from corekit_realtime.node import USER, Node, user_channel
from corekit_realtime.protocol import Data


class RealtimeService(Realtime):
    """The node, by the words of the contract."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def add(self, namespace: Namespace, *, log: ChannelLog | None = None) -> None:
        """Add a family of channels."""
        self.node.namespaces.add(namespace, log, owner())

    def methods(self, methods: object) -> None:
        """Add RPC methods."""
        self.node.methods.add(methods)

    async def publish(self, channel: str, data: bytes, *, offset: int = 0, ctx: Context | None = None) -> None:
        """Hand out encoded JSON.

        Raises:
            ValueError: there is no such channel, or it has offsets and none was given, or the other way round.

        """
        known = self.node.channels.find(channel) or place_of(self.node.namespaces, channel)
        demand_fitting(known.namespace, known.log, offset)
        if ctx is None:
            self.node.publish(channel, data, offset)
            return

        async def later() -> None:
            self.node.publish(channel, data, offset)

        ctx.on_commit(later)

    async def unsubscribe(self, user: UUID, channel: str, code: int = 2000) -> None:
        """End subscriptions."""
        self.node.unsubscribe(user, channel, code)

    async def disconnect(self, user: UUID, *, sign_in: UUID | None = None, code: int = 3503) -> None:
        """Close connections."""
        self.node.disconnect(user, sign_in, code)

    async def presence(self, channel: str) -> Presence:
        """Tell who is there."""
        found = self.node.presences.clients(channel)
        return Presence(
            {
                client: ClientInfo(info.user, info.client, _plain(info.conn_info), _plain(info.chan_info))
                for client, info in found.items()
            }
        )

    async def online(self, users: Iterable[UUID]) -> dict[UUID, Online]:
        """Tell who is connected."""
        found = {user: len(self.node.presences.clients(user_channel(user))) for user in users}
        return {user: Online(devices) for user, devices in found.items() if devices}

    def surface(self) -> Surface:
        """Tell what has been added."""
        return Surface(self.node.settings.path, self.node.namespaces.surface(), self.node.methods.surface())


def owner() -> str:
    """Name the module that calls the verb that asks: of two plugins with one namespace the error names both."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame and frame.f_back else None
    return caller.f_globals["__name__"] if caller else "?"


def demand_fitting(namespace: Namespace, log: ChannelLog | None, offset: int) -> None:
    """Refuse an offset where there is none, and none where there is one (ValueError)."""
    if namespace is not USER and (offset > 0) is not (log is not None):
        raise ValueError(f"channels of {namespace.name!r} {'need an offset' if log else 'have no offsets'}")
    if namespace is USER and offset:
        raise ValueError("the gateway numbers what goes to user channels")


def place_of(namespaces: Namespaces, channel: str) -> Place:
    """Understand a channel's name (ValueError)."""
    try:
        return namespaces.parse(channel)
    except Refusal:
        raise ValueError(f"no such channel: {channel.partition(':')[0]}:…") from None


def _plain(data: Data) -> object:
    return None if isinstance(data, UnsetType) else msgspec.json.decode(data)
