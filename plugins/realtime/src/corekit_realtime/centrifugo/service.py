"""What other plugins see of Centrifugo: the contract of the gateway, done by its server API."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
from msgspec import Raw

from corekit.context import Context, Kit
from corekit.contracts.realtime import ChannelLog, ClientInfo, Namespace, Online, Presence, Realtime, Surface
from corekit.errors import Unavailable
from corekit.values import typeid
from corekit.watch.logs import get_logger
from corekit_realtime.centrifugo.api import ApiFailed, Reply, ServerApi
from corekit_realtime.centrifugo.calls import Call, Disconnect, DisconnectUser, OfChannel, Publish, Unsubscribe
from corekit_realtime.centrifugo.sender import Sender
from corekit_realtime.channels import Namespaces
from corekit_realtime.codes import FORCED_RECONNECT, UNSUBSCRIBED, Close, close_of
from corekit_realtime.methods import Methods
from corekit_realtime.node import user_channel
from corekit_realtime.service import demand_fitting, owner, place_of

T = TypeVar("T")
_ASKED_AT_ONCE = 100


class There(msgspec.Struct, frozen=True):
    """One client, as the API tells of it."""

    user: str = ""
    client: str = ""
    conn_info: Any = None
    chan_info: Any = None


class Room(msgspec.Struct, frozen=True):
    """The answer to `presence`."""

    presence: dict[str, There] = {}


class Counted(msgspec.Struct, frozen=True):
    """The answer to `presence_stats`."""

    num_clients: int = 0


class CentrifugoService(Realtime):
    """Centrifugo, by the words of the contract; its cache numbers what is published."""

    def __init__(
        self, kit: Kit, api: ServerApi, sender: Sender, *, path: str, namespaces: Namespaces, methods: Methods
    ) -> None:
        self._kit = kit
        self._path = path
        self._api = api
        self._sender = sender
        self._namespaces = namespaces
        self._methods = methods

    def add(self, namespace: Namespace, *, log: ChannelLog | None = None) -> None:
        """Add a family of channels; Centrifugo's configuration must know it too."""
        self._namespaces.add(namespace, log, owner())

    def methods(self, methods: object) -> None:
        """Add RPC methods."""
        self._methods.add(methods)

    async def publish(self, channel: str, data: bytes, *, offset: int = 0, ctx: Context | None = None) -> None:
        """Queue encoded JSON for Centrifugo; the same channel and offset reach its clients once.

        Raises:
            ValueError: there is no such channel, or it has offsets and none was given, or the other way round.

        """
        place = place_of(self._namespaces, channel)
        demand_fitting(place.namespace, place.log, offset)
        key = f"{channel}@{offset}" if offset else uuid4().hex

        async def send() -> None:
            call = Call("publish", Publish(channel, Raw(data), key))
            self._sender.publication(call, channel, len(data), offset)

        if ctx is None:
            await send()
        else:
            ctx.on_commit(send)

    async def unsubscribe(self, user: UUID, channel: str, code: int = UNSUBSCRIBED) -> None:
        """End subscriptions for good. Any other code asks clients to come again, which the API can do with all only."""
        if code == UNSUBSCRIBED:
            self._sender.command(Call("unsubscribe", Unsubscribe(channel, typeid("usr", user))), channel)
        else:
            self._close(user, FORCED_RECONNECT)

    async def disconnect(self, user: UUID, *, sign_in: UUID | None = None, code: int = 3503) -> None:
        """Close connections. It knows no sign-ins: all come again, and those of one that is over are refused then."""
        self._close(user, close_of(code) if sign_in is None else FORCED_RECONNECT)

    async def presence(self, channel: str) -> Presence:
        """Ask who is there; not from within a context.

        Raises:
            Unavailable: Centrifugo does not tell.

        """
        self._kit.database.demand_free("Realtime.presence")
        if not place_of(self._namespaces, channel).namespace.presence:
            return Presence({})
        found = (await self._ask([Call("presence", OfChannel(channel))], Room))[0].presence
        return Presence(
            {client: ClientInfo(one.user, one.client, one.conn_info, one.chan_info) for client, one in found.items()}
        )

    async def online(self, users: Iterable[UUID]) -> dict[UUID, Online]:
        """Ask who is connected, by who hears a user's own channel (see `presence`)."""
        self._kit.database.demand_free("Realtime.online")
        asked = list(dict.fromkeys(users))
        found: list[Counted] = []
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            some = asked[start : start + _ASKED_AT_ONCE]
            calls = [Call("presence_stats", OfChannel(user_channel(user))) for user in some]
            found += await self._ask(calls, Counted)
        return {user: Online(one.num_clients) for user, one in zip(asked, found, strict=True) if one.num_clients}

    def surface(self) -> Surface:
        """Tell what has been added; the socket's path is Centrifugo's."""
        return Surface(self._path, self._namespaces.surface(), self._methods.surface())

    def _close(self, user: UUID, close: Close) -> None:
        wire_id = typeid("usr", user)
        call = Call("disconnect", DisconnectUser(wire_id, Disconnect(close.code, close.reason)))
        self._sender.command(call, wire_id)

    async def _ask(self, calls: Sequence[Call], form: type[T]) -> list[T]:
        try:
            return [_read(reply, form) for reply in await self._api.batch(calls)]
        except ApiFailed as failure:
            get_logger("corekit.realtime").warning("centrifugo_failed", error=str(failure), method=calls[0].name)
            raise Unavailable from None


def _read(reply: Reply, form: type[T]) -> T:
    if reply.error is not None:
        raise ApiFailed(f"{reply.error.code} {reply.error.message}")
    try:
        return msgspec.json.decode(reply.result, type=form)
    except msgspec.MsgspecError:
        raise ApiFailed("the answer has not the form of the API") from None
