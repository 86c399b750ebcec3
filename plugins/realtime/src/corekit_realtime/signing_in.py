"""`connect` and `refresh`: who is behind a socket, and for how long."""

import math
from importlib.metadata import version

from corekit.context import Actor
from corekit.contracts.realtime import Grant, Hello, Welcome
from corekit.errors import Problem
from corekit.watch.logs import get_logger
from corekit_realtime.asked import NAME_MAX, identify, welcome
from corekit_realtime.channel import Subscription
from corekit_realtime.codes import CONNECTION_LIMIT, INVALID_TOKEN, REFUSED, Ending, Refusal
from corekit_realtime.connection import Connection
from corekit_realtime.node import Node, user_channel
from corekit_realtime.protocol import (
    ConnectRequest,
    ConnectResult,
    RefreshResult,
    SubscribeRequest,
    SubscribeResult,
    TokenRequest,
    decoded,
    encoded,
)
from corekit_realtime.subscribing import Subscribing


class SigningIn:
    """Turns tokens into people."""

    def __init__(self, node: Node, subscribing: Subscribing) -> None:
        self._node = node
        self._kit = node.kit
        self._subscribing = subscribing
        self._version = f"corekit {version('corekit-realtime')}"

    async def connect(self, connection: Connection, number: int, request: ConnectRequest) -> None:
        """Sign in, ask the plugins, make the server-side subscriptions, answer."""
        actor = await identify(self._kit, connection.stranger(), request.token)
        self._make_room(actor)
        connection.name = request.name[:NAME_MAX]
        connection.sign_in(actor, request.token)
        self._node.connections.sign_in(connection)
        try:
            welcomed = await self._welcome(connection, request)
        except Problem as problem:
            raise Ending(REFUSED) from problem
        subscriptions = await self._server_side(connection, request, welcomed)
        if connection.closing is not None:
            return
        result = self._result(connection, welcomed)
        result.subs = {subscription.channel.name: answer for subscription, answer in subscriptions}
        connection.answer(number, connect=result)
        connection.connected = True
        self._node.heartbeat.connected(connection)
        self._expect_end(connection)
        for subscription, answer in subscriptions:
            self._node.go_live(connection, subscription, answer.offset)

    async def refresh(self, connection: Connection, number: int, request: TokenRequest) -> None:
        """Go on with a fresh token of the same person."""
        actor = await identify(self._kit, connection.stranger(), request.token)
        if actor.id != connection.user:
            raise Ending(INVALID_TOKEN)
        connection.sign_in(actor, request.token)
        self._expect_end(connection)
        expires, ttl = self._ttl(connection)
        result = RefreshResult(client=connection.client, version=self._version, expires=expires, ttl=ttl)
        connection.answer(number, refresh=result)

    async def _welcome(self, connection: Connection, request: ConnectRequest) -> Welcome:
        hello = Hello(connection.client, connection.name, request.version[:NAME_MAX], decoded(request.data))
        answer = await welcome(connection.fresh_caller(), hello)
        connection.conn_info = encoded(answer.conn_info)
        return answer

    async def _server_side(
        self, connection: Connection, request: ConnectRequest, welcomed: Welcome
    ) -> list[tuple[Subscription, SubscribeResult]]:
        """Subscribe to the user's own channel and to what plugins add, with recovery."""
        made = []
        for channel in dict.fromkeys((user_channel(connection.user), *welcomed.channels)):
            asked = request.subs.get(channel, SubscribeRequest())
            try:
                made.append(await self._subscribing.make(connection, channel, asked, Grant()))
            except (Refusal, Problem) as error:
                get_logger("corekit.realtime").error(
                    "server_side_subscription_failed", channel_namespace=channel.partition(":")[0], error=str(error)
                )
        return made

    def _result(self, connection: Connection, welcomed: Welcome) -> ConnectResult:
        expires, ttl = self._ttl(connection)
        return ConnectResult(
            client=connection.client,
            version=self._version,
            expires=expires,
            ttl=ttl,
            data=encoded(welcomed.data),
            ping=math.ceil(self._node.settings.ping),
            pong=True,
            node=self._node.id,
        )

    def _ttl(self, connection: Connection) -> tuple[bool, int]:
        if connection.expires_at is None:
            return False, 0
        return True, max(1, math.floor(connection.expires_at - self._kit.clock.now().timestamp()))

    def _expect_end(self, connection: Connection) -> None:
        if connection.expires_at is not None:
            self._node.heartbeat.expire(connection, connection.expires_at)

    def _make_room(self, actor: Actor) -> None:
        settings, theirs = self._node.settings, self._node.connections.of(actor.id)
        if len(theirs) < settings.connections_per_user:
            return
        if settings.limit_policy == "refuse":
            raise Ending(CONNECTION_LIMIT)
        theirs[0].close(CONNECTION_LIMIT)
