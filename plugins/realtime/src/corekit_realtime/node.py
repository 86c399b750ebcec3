"""One node: its connections, the channels they hear, and how publications and revocations reach them."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
from msgspec import Raw, structs

from corekit.context import Kit
from corekit.contracts.realtime import Grant, Namespace
from corekit.contracts.realtime import Publication as Entry
from corekit.values import typeid
from corekit.watch.logs import get_logger
from corekit_realtime.bus import Bus, Disconnect, Message, Published, Unsubscribe, shard_of
from corekit_realtime.channel import Channel, State, Subscription
from corekit_realtime.channels import Channels, Namespaces, Place
from corekit_realtime.codes import (
    CONNECTION_EXPIRED,
    INSUFFICIENT_STATE,
    INTERNAL,
    PERMISSION_DENIED,
    SHUTDOWN,
    SUBSCRIPTION_EXPIRED,
    UNSUBSCRIBE_REASONS,
    UNSUBSCRIBED,
    Refusal,
    close_of,
)
from corekit_realtime.connection import Connection
from corekit_realtime.connections import Connections
from corekit_realtime.heartbeat import Heartbeat
from corekit_realtime.methods import Methods
from corekit_realtime.presence import Departures, Presences
from corekit_realtime.protocol import ClientInfo, Push, Reply, Unsubscribed, encoded
from corekit_realtime.recovery import Recovery, compact
from corekit_realtime.ring import Rings
from corekit_realtime.sequencer import Sequencer
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.stats import Stats
from corekit_realtime.tasks import Tasks
from corekit_realtime.writers import Caps

PURPOSE = "realtime.log"
USER = Namespace("user", prefix="usr", server_side=True, about="Hints that something happened, for that user alone.")


class Node:
    """All state of a gateway in one process."""

    def __init__(self, kit: Kit, settings: RealtimeSettings, bus: Bus) -> None:
        self.kit = kit
        self.settings = settings
        self.bus = bus
        self.id = uuid4().hex
        self.draining = False
        self.frozen = False
        self.stats = Stats()
        self.tasks = Tasks()
        self.caps = Caps(settings, self.stats)
        self.methods = Methods()
        self.namespaces = Namespaces()
        self.namespaces.add(USER, None, __name__)
        self.channels = Channels()
        self.connections = Connections()
        self.rings = Rings(asyncio.get_running_loop().time)
        self.recovery = Recovery(settings, self.stats, epoch=self.id, time=self.rings.now)
        offline = Departures(kit, self.tasks).add
        self.presences = Presences(self.id, bus, settings, hears=self._hears, tell=self._tell, offline=offline)
        self.presences.start(self.receive)
        checks = (self.caps.check, self.presences.check)
        self.heartbeat = Heartbeat(settings, kit.clock, expired=self._expired, checks=checks)
        self._decoder = msgspec.json.Decoder(Message)

    def freeze(self) -> None:
        """Take no more namespaces and methods: the first connection is here."""
        self.frozen = True
        self.namespaces.close()
        self.methods.close()

    async def stop(self, seconds: float) -> None:
        """Hear nothing any more; let what is under way end."""
        self.presences.stop()
        self.bus.unsubscribe(self.receive)
        for channel in self.channels.all():
            if channel.sequencer is not None:
                channel.sequencer.close()
        for connection in self.connections.all():
            connection.close(SHUTDOWN)
        await self.tasks.finish(seconds)

    def attach(self, connection: Connection, place: Place, *, wants_join_leave: bool = False) -> Subscription:
        """Begin a subscription, which keeps what is published until `go_live`."""
        channel = self.channels.find(place.name) or self._open(place)
        subscription = channel.attach(connection, wants_join_leave=wants_join_leave)
        subscription.position = channel.delivered
        connection.subscriptions[place.name] = subscription
        return subscription

    def positioned(self, subscription: Subscription, epoch: str, last: int) -> None:
        """Take a position that was read after `attach`: it starts the channel's sequencer.

        Raises:
            Refusal: it contradicts what this node knows; the client tries again.

        """
        sequencer = subscription.channel.sequencer
        if sequencer is None:
            return
        if not sequencer.started:
            sequencer.start(epoch, last)
        elif sequencer.epoch != epoch:
            self.reset(subscription.channel)
        if last < subscription.position:  # behind what was delivered before the subscription began
            raise Refusal(INTERNAL)

    def demand_going(self, subscription: Subscription) -> None:
        """Refuse to go on with a subscription that was ended while it was made.

        Raises:
            Refusal: for good, or until the client tries again.

        """
        if subscription.state is State.ENDED:
            raise Refusal(PERMISSION_DENIED if subscription.reason == UNSUBSCRIBED else INTERNAL)

    def go_live(self, connection: Connection, subscription: Subscription, position: int) -> None:
        """Let publications through, after the reply has been pushed, and announce the newcomer."""
        if subscription.state is State.ENDED:
            return
        channel, grant = subscription.channel, subscription.grant
        channel.go_live(subscription, position)
        subscription.info = ClientInfo(user=connection.usr, client=connection.client)
        if channel.namespace.presence or channel.namespace.join_leave:
            subscription.info = structs.replace(
                subscription.info, conn_info=connection.conn_info, chan_info=encoded(grant.info)
            )
        if channel.namespace.presence or channel.namespace.join_leave or channel.namespace is USER:
            self.presences.enter(channel.name, subscription.info)
        self.renew(connection, subscription, grant)

    def renew(self, connection: Connection, subscription: Subscription, grant: Grant) -> None:
        """Note how long a subscription is good for."""
        subscription.grant = grant
        subscription.expires_at = grant.expires_at.timestamp() if grant.expires_at else None
        if subscription.expires_at is not None:
            self.heartbeat.expire(connection, subscription.expires_at)

    def detach(self, connection: Connection, subscription: Subscription, *, code: int = 0, left: bool = True) -> None:
        """End a subscription, once; `left` says that the client did not merely lose its connection."""
        channel = subscription.channel
        if connection.subscriptions.get(channel.name) is not subscription:
            return
        del connection.subscriptions[channel.name]
        was_live = subscription.state in {State.LIVE, State.AHEAD}
        channel.detach(subscription, code)
        if was_live:
            self.presences.leave(channel.name, connection.client, at_once=left)
        if not channel.subscriptions:
            self.channels.drop(channel)
            if channel.sequencer is not None:
                channel.sequencer.close()
            if channel.ring is not None:
                self.rings.release(channel.name)

    def end(self, connection: Connection, subscription: Subscription, code: int) -> None:
        """End a subscription and say so."""
        known = subscription.state in {State.LIVE, State.AHEAD}
        self.detach(connection, subscription, code=code)
        if known:
            reason = UNSUBSCRIBE_REASONS.get(code, "unsubscribed")
            connection.push(Push(channel=subscription.channel.name, unsubscribe=Unsubscribed(code, reason)))

    def reset(self, channel: Channel) -> None:
        """Send everybody back to recovery."""
        for client, subscription in list(channel.subscriptions.items()):
            connection = self.connections.find(client)
            if connection is not None:
                self.end(connection, subscription, INSUFFICIENT_STATE)

    def gone(self, connection: Connection) -> None:
        """Forget a connection."""
        self.heartbeat.remove(connection)
        for subscription in list(connection.subscriptions.values()):
            self.detach(connection, subscription, left=False)
        self.connections.remove(connection)
        connection.writer.stop()

    def publish(self, name: str, data: bytes, offset: int = 0, info: ClientInfo | None = None) -> None:
        """Hand a publication to the subscribers here and on other nodes; `info` names the device that sent it."""
        data = compact(data)
        self._deliver(name, Entry(data, offset), info)
        if not self.bus.alone:
            self._broadcast(Published(self.id, name, offset, Raw(data), info))

    def unsubscribe(self, user: UUID, name: str, code: int) -> None:
        """End a user's subscriptions to a channel, everywhere."""
        self._unsubscribe(user, name, code)
        if not self.bus.alone:
            self._broadcast(Unsubscribe(self.id, user_channel(user), user, name, code))

    def disconnect(self, user: UUID, sign_in: UUID | None, code: int) -> None:
        """Close a user's connections, everywhere."""
        self._disconnect(user, sign_in, code)
        if not self.bus.alone:
            self._broadcast(Disconnect(self.id, user_channel(user), user, sign_in, code))

    def receive(self, message: bytes) -> None:
        """Hear from another node; what is of no known form, perhaps of a newer version's, is left out."""
        try:
            heard = self._decoder.decode(message)
        except (msgspec.MsgspecError, ValueError) as error:
            self.stats.unreadable += 1
            get_logger("corekit.realtime").warning("bus_message_unreadable", error=type(error).__name__)
            return
        if heard.origin == self.id:
            return
        if isinstance(heard, Published):
            self._deliver(heard.channel, Entry(bytes(heard.data), heard.offset), heard.info)
        elif isinstance(heard, Unsubscribe):
            self._unsubscribe(heard.user, heard.name, heard.code)
        elif isinstance(heard, Disconnect):
            self._disconnect(heard.user, heard.sign_in, heard.code)
        else:
            self.presences.receive(heard)

    async def read_log(self, channel: Channel, offset: int, limit: int) -> Sequence[Entry]:
        """Read a range for all subscribers of a channel."""
        if channel.log is None:
            return ()
        self.stats.gap_reads += 1
        async with self.kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
            return await channel.log.since(ctx, channel.id, offset, limit)

    def _open(self, place: Place) -> Channel:
        channel = Channel(place.name, place.namespace, place.id, place.log, self.stats)
        channel.linger = self.settings.linger
        if place.log is not None:
            channel.sequencer = Sequencer(
                channel.deliver,
                lambda offset, limit: self.read_log(channel, offset, limit),
                lambda: self.reset(channel),
                tasks=self.tasks,
                rows_max=self.settings.recover_rows,
            )
        if place.namespace is USER:
            channel.ring = self.rings.hold(place.name)
        self.channels.keep(channel)
        self.bus.subscribe(shard_of(place.name, self.settings.shards), self.receive)
        return channel

    def _deliver(self, name: str, entry: Entry, info: ClientInfo | None) -> None:
        ring = self.rings.find(name)
        if ring is not None:
            entry = ring.append(entry.data, asyncio.get_running_loop().time())
        channel = self.channels.find(name)
        if channel is not None and channel.sequencer is not None:
            channel.sequencer.accept(entry)
        elif channel is not None:
            channel.deliver(entry, info)

    def _unsubscribe(self, user: UUID, name: str, code: int) -> None:
        for connection in self.connections.of(user):
            if subscription := connection.subscriptions.get(name):
                self.end(connection, subscription, code)

    def _disconnect(self, user: UUID, sign_in: UUID | None, code: int) -> None:
        for connection in self.connections.of(user):
            proof = connection.caller.actor.proof
            if sign_in is None or (proof is not None and proof.session_id == sign_in):
                connection.close(close_of(code))

    def _broadcast(self, message: Published | Unsubscribe | Disconnect) -> None:
        self.bus.publish(shard_of(message.channel, self.settings.shards), msgspec.json.encode(message))

    def _hears(self, name: str) -> bool:
        """Tell whether joins and leaves are pushed: somebody is there to hear them, and they are not too many."""
        if (channel := self.channels.find(name)) is None or not channel.namespace.join_leave:
            return False
        return len(self.presences.clients(name)) <= channel.namespace.join_leave_max

    def _tell(self, name: str, replies: list[Reply]) -> None:
        if channel := self.channels.find(name):
            channel.tell(replies)

    def _expired(self, connection: Connection, until: float) -> None:
        if connection.expires_at is not None and connection.expires_at <= until:
            connection.close(CONNECTION_EXPIRED)
        for subscription in list(connection.subscriptions.values()):
            if subscription.expires_at is not None and subscription.expires_at <= until:
                self.end(connection, subscription, SUBSCRIPTION_EXPIRED)


def user_channel(user: UUID) -> str:
    """Name a user's own channel."""
    return f"{USER.name}:{typeid('usr', user)}"
