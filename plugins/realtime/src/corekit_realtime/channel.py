"""One channel: who hears it on this node, and how a publication reaches all of them with one encoding."""

import asyncio
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from msgspec import Raw

from corekit.contracts.realtime import ChannelLog, Grant, Namespace
from corekit.contracts.realtime import Publication as Entry
from corekit_realtime.codec import Codec
from corekit_realtime.frames import Outgoing, batches
from corekit_realtime.protocol import ClientInfo, Publication, Push, Reply
from corekit_realtime.ring import Ring
from corekit_realtime.sequencer import Sequencer
from corekit_realtime.stats import Stats
from corekit_realtime.writers import Writer

_KEPT_MAX = 1000  # publications kept for one subscription that is being made


class State(Enum):
    """How far a subscription is."""

    BUFFERING = 1  # being made: what is published is kept
    AHEAD = 2  # its reply went further than the live stream has come
    LIVE = 3
    ENDED = 4


class Listener(Protocol):
    """What a channel needs of a connection."""

    client: str
    user: UUID
    writer: Writer


class Subscription:
    """One connection's place in one channel."""

    __slots__ = (
        "channel",
        "data",
        "expires_at",
        "grant",
        "info",
        "kept",
        "listener",
        "position",
        "reason",
        "state",
        "wants",
    )

    def __init__(self, channel: "Channel", listener: Listener, *, wants_join_leave: bool = False) -> None:
        self.channel = channel
        self.listener = listener
        self.state = State.BUFFERING
        self.kept: list[tuple[int, bytes]] = []
        self.position = 0
        self.grant = Grant()
        self.info = ClientInfo()
        self.data: Any = None
        self.wants = wants_join_leave
        self.reason = 0
        self.expires_at: float | None = None

    def keep(self, offset: int, line: bytes) -> None:
        """Keep a publication until the reply is out; too many of them, and the client has to come again."""
        self.kept.append((offset, line))
        if len(self.kept) > _KEPT_MAX:
            self.end(2500)

    def end(self, code: int) -> None:
        """Let nothing more through."""
        self.state, self.reason = State.ENDED, code
        self.kept = []


class Audience:
    """The live subscribers of one codec, and what goes to them at the end of this turn."""

    __slots__ = ("codec", "pending", "writers")

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.writers: dict[str, Writer] = {}
        self.pending: list[bytes] = []


class Channel:
    """The subscriptions of one channel; a recoverable one has a sequencer or a ring."""

    __slots__ = (
        "_audiences",
        "_not_live",
        "_scheduled",
        "_stats",
        "id",
        "linger",
        "log",
        "name",
        "namespace",
        "ring",
        "sequencer",
        "subscriptions",
    )

    def __init__(self, name: str, namespace: Namespace, id: UUID, log: ChannelLog | None, stats: Stats) -> None:  # noqa: A002
        self.name = name
        self.namespace = namespace
        self.id = id
        self.log = log
        self.sequencer: Sequencer | None = None
        self.ring: Ring | None = None
        self.linger = 0.0
        self.subscriptions: dict[str, Subscription] = {}
        self._audiences: dict[str, Audience] = {}
        self._not_live: set[Subscription] = set()
        self._scheduled = False
        self._stats = stats

    @property
    def recoverable(self) -> bool:
        """Whether its publications have offsets."""
        return self.log is not None or self.ring is not None

    @property
    def delivered(self) -> int:
        """The offset up to which everybody has been served."""
        return self.sequencer.last if self.sequencer is not None else self.ring.last if self.ring is not None else 0

    def attach(self, listener: Listener, *, wants_join_leave: bool = False) -> Subscription:
        """Begin a subscription: from now on nothing is missed."""
        subscription = Subscription(self, listener, wants_join_leave=wants_join_leave)
        self.subscriptions[listener.client] = subscription
        self._not_live.add(subscription)
        return subscription

    def detach(self, subscription: Subscription, code: int = 0) -> None:
        """End a subscription."""
        client = subscription.listener.client
        if self.subscriptions.get(client) is subscription:
            del self.subscriptions[client]
        self._not_live.discard(subscription)
        if subscription.state is State.LIVE:
            self.flush()
            self._audience(subscription).writers.pop(client, None)
        subscription.end(code)

    def go_live(self, subscription: Subscription, position: int) -> None:
        """Send what was kept above `position`, then all that comes; the reply has been pushed already.

        Where the reply reached further than the live stream has come, what is still on its way is left out.
        """
        self.flush()
        writer = subscription.listener.writer
        for offset, line in subscription.kept:
            if offset == 0 or offset > position:
                writer.push(line)
        subscription.kept, subscription.position = [], position
        if self.sequencer is not None and self.sequencer.last < position:
            subscription.state = State.AHEAD
            self.sequencer.learn(position)
            return
        self._promote(subscription)

    def deliver(self, entry: Entry, info: ClientInfo | None = None) -> None:
        """Hand a publication to everybody; it leaves with the end of this turn of the loop."""
        publication = Publication(data=Raw(entry.data), info=info, offset=entry.offset)
        reply = Reply(push=Push(channel=self.name, pub=publication))
        if self._not_live:
            self._deliver_not_live(entry.offset, reply)
        for audience in self._audiences.values():
            if audience.writers:
                audience.pending.append(audience.codec.encode(reply))
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            if self.linger:
                loop.call_later(self.linger, self.flush)
            else:
                loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what was published in this turn: frames, made once, for everybody."""
        self._scheduled = False
        for audience in self._audiences.values():
            if audience.pending:
                pending, audience.pending = audience.pending, []
                for outgoing in batches(audience.codec, pending, ephemeral=not self.recoverable):
                    for writer in list(audience.writers.values()):
                        writer.send(outgoing)
                self._stats.deliveries += len(pending) * len(audience.writers)

    def tell(self, replies: list[Reply]) -> None:
        """Send joins and leaves to those who asked for them."""
        lines: dict[str, Outgoing] = {}
        for subscription in list(self.subscriptions.values()):
            if subscription.wants and subscription.state is State.LIVE:
                codec = subscription.listener.writer.codec
                if codec.name not in lines:
                    lines[codec.name] = Outgoing(codec, [codec.encode(reply) for reply in replies], ephemeral=True)
                subscription.listener.writer.send(lines[codec.name])

    def _deliver_not_live(self, offset: int, reply: Reply) -> None:
        for subscription in list(self._not_live):
            if subscription.state is State.BUFFERING:
                subscription.keep(offset, subscription.listener.writer.codec.encode(reply))
            elif subscription.state is State.AHEAD and subscription.position < offset:
                self.flush()  # what waits was part of its reply
                self._promote(subscription)

    def _promote(self, subscription: Subscription) -> None:
        subscription.state = State.LIVE
        self._not_live.discard(subscription)
        self._audience(subscription).writers[subscription.listener.client] = subscription.listener.writer

    def _audience(self, subscription: Subscription) -> Audience:
        codec = subscription.listener.writer.codec
        if codec.name not in self._audiences:
            self._audiences[codec.name] = Audience(codec)
        return self._audiences[codec.name]
