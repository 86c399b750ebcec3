"""`subscribe` and what ends or renews it: authorised, with what was missed, atomic against live publications."""

import math

from corekit.contracts.realtime import Grant
from corekit_realtime.asked import grant
from corekit_realtime.channel import Subscription
from corekit_realtime.channels import NAME_MAX, Place
from corekit_realtime.codes import (
    ALREADY_SUBSCRIBED,
    BAD_REQUEST,
    LIMIT_EXCEEDED,
    PERMISSION_DENIED,
    Refusal,
)
from corekit_realtime.connection import Connection
from corekit_realtime.node import Node
from corekit_realtime.protocol import (
    ChannelRequest,
    Empty,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
    decoded,
)


class Subscribing:
    """Makes and ends subscriptions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def subscribe(self, connection: Connection, number: int, request: SubscribeRequest) -> None:
        """Answer with the position and what was missed, then let publications through."""
        place = self._demand_free(connection, request.channel)
        if place.namespace.server_side:
            raise Refusal(PERMISSION_DENIED)
        subscription, result = await self.make(connection, request.channel, request, None)
        connection.answer(number, subscribe=result)
        self._node.go_live(connection, subscription, result.offset)

    async def make(
        self, connection: Connection, channel: str, request: SubscribeRequest, given: Grant | None
    ) -> tuple[Subscription, SubscribeResult]:
        """Make a subscription that still keeps what is published; without a grant the plugins are asked for one.

        It is attached before the context opens, because SQLite's readers see the past: what is committed while the
        plugins are asked must be either in the log that is read or among what is kept.
        """
        place = self._demand_free(connection, channel)
        subscription = self._node.attach(connection, place, wants_join_leave=request.join_leave)
        try:
            await self._node.bus.settle()
            async with connection.fresh_caller().begin(readonly=True) as ctx:
                subscription.data = decoded(request.data)
                subscription.grant = given or await grant(ctx, place, subscription.data)
                subscription.wants &= subscription.grant.join_leave
                result = await self._node.recovery.answer(
                    self._node.recovery.source(subscription.channel, ctx), request
                )
            self._node.positioned(subscription, result.epoch, result.offset)
            self._node.demand_going(subscription)
        except BaseException:
            self._node.detach(connection, subscription)
            raise
        result.expires, result.ttl = self._ttl(subscription.grant)
        return subscription, result

    async def unsubscribe(self, connection: Connection, number: int, request: ChannelRequest) -> None:
        """End a subscription; one that is not there is ended already."""
        if subscription := connection.subscriptions.get(request.channel):
            self._node.detach(connection, subscription)
        connection.answer(number, unsubscribe=Empty())

    async def sub_refresh(self, connection: Connection, number: int, request: ChannelRequest) -> None:
        """Ask the plugins again, before a subscription expires."""
        subscription = connection.subscriptions.get(request.channel)
        if subscription is None:
            raise Refusal(PERMISSION_DENIED)
        place = self._node.namespaces.parse(request.channel)
        async with connection.fresh_caller().begin(readonly=True) as ctx:
            granted = await grant(ctx, place, subscription.data)
        self._node.renew(connection, subscription, granted)
        expires, ttl = self._ttl(granted)
        connection.answer(number, sub_refresh=SubRefreshResult(expires, ttl))

    def _demand_free(self, connection: Connection, channel: str) -> Place:
        if not 0 < len(channel) <= NAME_MAX:
            raise Refusal(BAD_REQUEST)
        if channel in connection.subscriptions:
            raise Refusal(ALREADY_SUBSCRIBED)
        if len(connection.subscriptions) >= self._node.settings.channels_max:
            raise Refusal(LIMIT_EXCEEDED)
        return self._node.namespaces.parse(channel)

    def _ttl(self, granted: Grant) -> tuple[bool, int]:
        if granted.expires_at is None:
            return False, 0
        return True, max(1, math.floor((granted.expires_at - self._node.kit.clock.now()).total_seconds()))
