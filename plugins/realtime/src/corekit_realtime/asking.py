"""What a client may ask about a channel it hears, and the signals it may send there."""

import asyncio

from corekit_realtime.asked import demand_signals, signal
from corekit_realtime.channel import Subscription
from corekit_realtime.codes import (
    LIMIT_EXCEEDED,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
    Refusal,
)
from corekit_realtime.connection import Connection
from corekit_realtime.node import Node
from corekit_realtime.protocol import (
    ChannelRequest,
    ClientInfo,
    Empty,
    HistoryRequest,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishRequest,
)
from corekit_realtime.recovery import Source, publication


class Asking:
    """publish, presence, presence_stats, history."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def publish(self, connection: Connection, number: int, request: PublishRequest) -> None:
        """Hand a signal on, where the namespace and a plugin allow it; it is never stored."""
        place = self._node.namespaces.parse(request.channel)
        demand_signals(place)
        if not connection.publishes.take(asyncio.get_running_loop().time()):
            raise Refusal(TOO_MANY_REQUESTS)
        data = await signal(connection.fresh_caller(), place, request.data)
        info = ClientInfo(user=connection.usr, client=connection.client, conn_info=connection.conn_info)
        self._node.publish(place.name, data, info=info)
        connection.answer(number, publish=Empty())

    async def presence(self, connection: Connection, number: int, request: ChannelRequest) -> None:
        """Tell who is there, unless they are too many to tell."""
        self._demand_presence(connection, request)
        clients = self._node.presences.clients(request.channel)
        if len(clients) > self._node.settings.presence_max:
            raise Refusal(LIMIT_EXCEEDED)
        connection.answer(number, presence=PresenceResult(clients))

    async def presence_stats(self, connection: Connection, number: int, request: ChannelRequest) -> None:
        """Count who is there."""
        self._demand_presence(connection, request)
        clients, users = self._node.presences.clients(request.channel), self._node.presences.users(request.channel)
        connection.answer(number, presence_stats=PresenceStatsResult(len(clients), users))

    async def history(self, connection: Connection, number: int, request: HistoryRequest) -> None:
        """Read a page of the log, or only its end."""
        channel = self._demand_subscribed(connection, request.channel).channel
        if not channel.namespace.history:
            raise Refusal(NOT_AVAILABLE)
        if request.limit and not connection.reads.take(asyncio.get_running_loop().time()):
            raise Refusal(TOO_MANY_REQUESTS)
        async with connection.fresh_caller().begin(readonly=True) as ctx:
            source = self._node.recovery.source(channel, ctx)
            if source is None:
                raise Refusal(NOT_AVAILABLE)
            result = await self._page(source, request)
        connection.answer(number, history=result)

    async def _page(self, source: Source, request: HistoryRequest) -> HistoryResult:
        epoch, last = await source.position()
        if request.since is not None and request.since.epoch not in {"", epoch}:
            raise Refusal(UNRECOVERABLE_POSITION)
        most = self._node.settings.history_max
        limit = most if request.limit < 0 else min(request.limit, most)
        if not limit:
            return HistoryResult(epoch=epoch, offset=last)
        if request.reverse:
            before = min(request.since.offset - 1, last) if request.since else last
            start = max(0, before - limit)
            limit = max(0, before - start)
        else:
            start = request.since.offset if request.since else 0
        found = await source.page(start, limit) if limit else []
        entries = [publication(entry) for entry in found]
        return HistoryResult(entries[::-1] if request.reverse else entries, epoch, last)

    def _demand_presence(self, connection: Connection, request: ChannelRequest) -> None:
        if not self._demand_subscribed(connection, request.channel).channel.namespace.presence:
            raise Refusal(NOT_AVAILABLE)

    def _demand_subscribed(self, connection: Connection, channel: str) -> Subscription:
        self._node.namespaces.parse(channel)
        subscription = connection.subscriptions.get(channel)
        if subscription is None:
            raise Refusal(PERMISSION_DENIED)
        return subscription
