"""The Centrifuge client protocol, version 2: names as in its `client.proto`; unset and zero fields are not written.

One schema for every codec. Fields that carry the application's data hold encoded JSON.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Data = Raw | UnsetType
Number = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Position = Annotated[int, Meta(ge=0, le=2**63 - 1)]
REJECT_UNRECOVERED = 2  # a subscribe flag: an error instead of `recovered: false`


class Error(Struct, frozen=True, omit_defaults=True):
    """Why a command was refused; clients try again where `temporary` says so."""

    code: int
    message: str
    temporary: bool = False


class StreamPosition(Struct, frozen=True, omit_defaults=True):
    """A place in a channel's log."""

    offset: Position = 0
    epoch: str = ""


class Empty(Struct, frozen=True):
    """A request or result that says nothing."""


class SubscribeRequest(Struct, frozen=True):
    """`recover` asks for what came after (epoch, offset)."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Position = 0
    data: Data = UNSET
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    flag: int = 0


class ConnectRequest(Struct, frozen=True):
    """`subs` are the positions that the client has on its server-side subscriptions."""

    token: str = ""
    data: Data = UNSET
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""


class TokenRequest(Struct, frozen=True):
    """A fresh token for the connection."""

    token: str = ""


class ChannelRequest(Struct, frozen=True):
    """A channel, for unsubscribe, presence, its counts, and sub_refresh."""

    channel: str = ""


class PublishRequest(Struct, frozen=True):
    """A signal for others."""

    channel: str = ""
    data: Data = UNSET


class HistoryRequest(Struct, frozen=True):
    """A page of the log; `limit` 0 asks for the position alone."""

    channel: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class RpcRequest(Struct, frozen=True):
    """A call of a method."""

    method: str = ""
    data: Data = UNSET


class SendRequest(Struct, frozen=True):
    """Something without an answer; read and dropped."""

    data: Data = UNSET


class Command(Struct, frozen=True):
    """One request, or nothing at all, which answers a ping."""

    id: Number = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    ping: Empty | None = None
    send: SendRequest | None = None
    rpc: RpcRequest | None = None
    refresh: TokenRequest | None = None
    sub_refresh: ChannelRequest | None = None

    def requests(self) -> list[tuple[str, Any]]:
        """Return what is asked, by name; more or less than one is a malformed command."""
        return [(name, request) for name in REQUESTS if (request := getattr(self, name)) is not None]


REQUESTS = tuple(field for field in Command.__struct_fields__ if field != "id")


class ClientInfo(Struct, frozen=True, omit_defaults=True):
    """One connected device, as others see it."""

    user: str = ""
    client: str = ""
    conn_info: Data = UNSET
    chan_info: Data = UNSET


class Publication(Struct, frozen=True, omit_defaults=True):
    """One entry of a channel."""

    data: Data = UNSET
    info: ClientInfo | None = None
    offset: int = 0


class SubscribeResult(Struct, omit_defaults=True):
    """A subscription, with all that was missed where `recovered` says so."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Publication] = []
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: Data = UNSET
    was_recovering: bool = False


class ConnectResult(Struct, omit_defaults=True):
    """A connection; `ping` is in seconds, `pong` asks the client to answer it."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: Data = UNSET
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class RefreshResult(Struct, frozen=True, omit_defaults=True):
    """When the fresh token runs out."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Struct, frozen=True, omit_defaults=True):
    """When the subscription runs out."""

    expires: bool = False
    ttl: int = 0


class PresenceResult(Struct, frozen=True, omit_defaults=True):
    """Who is there, by client."""

    presence: dict[str, ClientInfo] = {}


class PresenceStatsResult(Struct, frozen=True, omit_defaults=True):
    """How many are there."""

    num_clients: int = 0
    num_users: int = 0


class HistoryResult(Struct, frozen=True, omit_defaults=True):
    """A page of the log and the log's end."""

    publications: list[Publication] = []
    epoch: str = ""
    offset: int = 0


class RpcResult(Struct, frozen=True, omit_defaults=True):
    """What a method answered."""

    data: Data = UNSET


class Joined(Struct, frozen=True, omit_defaults=True):
    """Somebody came, or left."""

    info: ClientInfo


class Unsubscribed(Struct, frozen=True, omit_defaults=True):
    """The server ended a subscription."""

    code: int = 0
    reason: str = ""


class Push(Struct, frozen=True, omit_defaults=True):
    """What nobody asked for."""

    channel: str = ""
    pub: Publication | None = None
    join: Joined | None = None
    leave: Joined | None = None
    unsubscribe: Unsubscribed | None = None


class Reply(Struct, frozen=True, omit_defaults=True):
    """The answer to a command, a push, or nothing at all, which is a ping."""

    id: int = 0
    error: Error | None = None
    push: Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: Empty | None = None
    publish: Empty | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    ping: Empty | None = None
    rpc: RpcResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: SubRefreshResult | None = None


def encoded(value: Any) -> Data:
    """Encode the application's data; None is nothing at all."""
    return UNSET if value is None else Raw(msgspec.json.encode(value))


def decoded(data: Data) -> Any:
    """Decode the application's data.

    Raises:
        msgspec.DecodeError: it is no JSON after all.

    """
    return None if isinstance(data, UnsetType) else msgspec.json.decode(data)
