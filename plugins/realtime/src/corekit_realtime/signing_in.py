"""`connect` and `refresh`: who is behind a socket, and for how long."""

import math
from importlib.metadata import version
from typing import Any

from corekit.context import Actor, Caller, Kit
from corekit.contracts.auth import Denied, authenticate
from corekit.contracts.realtime import Grant, Hello, Welcome, connecting
from corekit.errors import Problem
from corekit.hooks import Hooks
from corekit.watch.logs import get_logger
from corekit_realtime.channel import Subscription
from corekit_realtime.codes import CONNECTION_LIMIT, INVALID_TOKEN, REFUSED, TOKEN_EXPIRED, Ending, Refusal
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

_TOKEN_MAX = 8192
_NAME_MAX = 64


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
        connection.name = request.name[:_NAME_MAX]
        connection.sign_in(actor, request.token)
        self._node.connections.sign_in(connection)
        try:
            welcome = await self._welcome(connection, request)
        except Problem as problem:
            raise Ending(REFUSED) from problem
        subscriptions = await self._server_side(connection, request, welcome)
        if connection.closing is not None:
            return
        result = self._result(connection, welcome)
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
        hello = Hello(connection.client, connection.name, request.version[:_NAME_MAX], decoded(request.data))
        async with connection.fresh_caller().begin(readonly=True) as ctx:
            answers = await self._kit.hooks.each(connecting, hello, ctx)
        welcome = Welcome(
            data=_merged([answer.data for answer in answers]),
            channels=tuple(channel for answer in answers for channel in answer.channels),
            conn_info=_merged([answer.conn_info for answer in answers]),
        )
        connection.conn_info = encoded(welcome.conn_info)
        return welcome

    async def _server_side(
        self, connection: Connection, request: ConnectRequest, welcome: Welcome
    ) -> list[tuple[Subscription, SubscribeResult]]:
        """Subscribe to the user's own channel and to what plugins add, with recovery."""
        made = []
        for channel in dict.fromkeys((user_channel(connection.user), *welcome.channels)):
            asked = request.subs.get(channel, SubscribeRequest())
            try:
                made.append(await self._subscribing.make(connection, channel, asked, Grant()))
            except (Refusal, Problem) as error:
                get_logger("corekit.realtime").error(
                    "server_side_subscription_failed", channel_namespace=channel.partition(":")[0], error=str(error)
                )
        return made

    def _result(self, connection: Connection, welcome: Welcome) -> ConnectResult:
        expires, ttl = self._ttl(connection)
        return ConnectResult(
            client=connection.client,
            version=self._version,
            expires=expires,
            ttl=ttl,
            data=encoded(welcome.data),
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


async def identify(kit: Kit, caller: Caller, token: str) -> Actor:
    """Ask the plugins who a token speaks for.

    Raises:
        Refusal: it has expired; the client fetches a fresh one.
        Ending: it is refused, or nobody knows it.

    """
    if not 0 < len(token) <= _TOKEN_MAX:
        raise Ending(INVALID_TOKEN)
    hooks: Hooks = kit.hooks
    answer: Actor | Denied | None = await hooks.first(authenticate, token, caller)
    if isinstance(answer, Denied) and answer.reason == "expired":
        raise Refusal(TOKEN_EXPIRED)
    if not isinstance(answer, Actor) or answer.kind not in {"user", "service"}:
        raise Ending(INVALID_TOKEN)
    return answer


def _merged(answers: list[Any]) -> Any:
    """Put the plugins' answers together: objects are merged, of anything else the last one counts."""
    given = [answer for answer in answers if answer is not None]
    if given and all(isinstance(answer, dict) for answer in given):
        return {key: value for answer in given for key, value in answer.items()}
    return given[-1] if given else None
