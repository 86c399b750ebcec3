"""Which channels there are: the namespaces that plugins brought, and the channels that somebody hears now."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from corekit.contracts.realtime import ChannelLog, Namespace
from corekit.errors import Invalid, PluginError
from corekit.values import parse_id
from corekit_realtime.channel import Channel
from corekit_realtime.codes import UNKNOWN_CHANNEL, Refusal

NAME_MAX = 255


class Place(NamedTuple):
    """A channel's name, understood."""

    name: str
    namespace: Namespace
    id: UUID
    log: ChannelLog | None


class Namespaces:
    """Families of channels; closed with the first connection."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Namespace, ChannelLog | None, str]] = {}
        self._closed = False

    def add(self, namespace: Namespace, log: ChannelLog | None, owner: str) -> None:
        """Add a family; `owner` is the module that brings it.

        Raises:
            PluginError: the name is taken, or connections are served already.

        """
        if self._closed:
            raise PluginError(f"namespace {namespace.name!r} comes too late: add it in the plugin's lifespan")
        if known := self._known.get(namespace.name):
            raise PluginError(f"namespace {namespace.name!r} is brought twice: by {known[2]} and by {owner}")
        if ":" in namespace.name or namespace.name != namespace.name.lower():
            raise PluginError(f"namespace {namespace.name!r} must be lower case and without a colon")
        self._known[namespace.name] = (namespace, log, owner)

    def surface(self) -> tuple[tuple[Namespace, bool], ...]:
        """Return all by name, and whether they are recoverable."""
        return tuple((namespace, log is not None) for _, (namespace, log, _) in sorted(self._known.items()))

    def close(self) -> None:
        """Take no more."""
        self._closed = True

    def parse(self, channel: str) -> Place:
        """Understand a channel's name: `<namespace>:<TypeID>` in its one spelling.

        Raises:
            Refusal: there is no such channel.

        """
        name, _, wire_id = channel.partition(":")
        known = self._known.get(name)
        if known is None or not wire_id.startswith(f"{known[0].prefix}_"):
            raise Refusal(UNKNOWN_CHANNEL)
        try:
            return Place(channel, known[0], parse_id(known[0].prefix, wire_id), known[1])
        except Invalid:
            raise Refusal(UNKNOWN_CHANNEL) from None


class Channels:
    """The channels that somebody on this node hears; a channel nobody hears costs nothing."""

    def __init__(self) -> None:
        self._active: dict[str, Channel] = {}

    def find(self, name: str) -> Channel | None:
        """Return a channel, if somebody hears it."""
        return self._active.get(name)

    def keep(self, channel: Channel) -> None:
        """Remember a channel as long as it has subscriptions."""
        self._active[channel.name] = channel

    def drop(self, channel: Channel) -> None:
        """Forget a channel."""
        if self._active.get(channel.name) is channel:
            del self._active[channel.name]

    def all(self) -> Iterable[Channel]:
        """Return those of now."""
        return list(self._active.values())
