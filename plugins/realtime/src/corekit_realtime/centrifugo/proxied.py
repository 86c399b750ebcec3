"""What Centrifugo's proxy asks and is answered: names as in its `proxy.proto`, in JSON; zero fields are not written.

Unknown fields of a request are ignored, so that newer servers can ask; `data`, `info` and `meta` are JSON.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from corekit_realtime.protocol import Data, Error

Id = Annotated[str, Meta(min_length=1, max_length=255)]


class Held(Struct, frozen=True):
    """`meta`: what Centrifugo keeps of a connection and shows with each request; its clients never see it."""

    token: str = ""


class ConnectRequest(Struct, frozen=True, kw_only=True):
    """Somebody connects without a token that Centrifugo itself would check."""

    client: Id
    data: Data = UNSET
    name: str = ""
    version: str = ""


class RefreshRequest(Struct, frozen=True, kw_only=True):
    """A connection's time is over: may it stay?"""

    client: Id
    user: str = ""
    meta: Held | None = None


class ChannelRequest(RefreshRequest, frozen=True, kw_only=True):
    """A client subscribes, publishes, or its subscription's time is over."""

    channel: Id
    data: Data = UNSET


class RpcRequest(RefreshRequest, frozen=True, kw_only=True):
    """A client calls a method."""

    method: str
    data: Data = UNSET


class BoolValue(Struct, frozen=True):
    """A boolean that says something even where it is false."""

    value: bool


class Override(Struct, frozen=True, omit_defaults=True):
    """What is different from the options of the namespace."""

    force_recovery: BoolValue | UnsetType = UNSET
    force_push_join_leave: BoolValue | UnsetType = UNSET


class SubscribeOptions(Struct, frozen=True):
    """A server-side subscription, by the options of its namespace."""


class ConnectResult(Struct, frozen=True, omit_defaults=True):
    """Who it is, until when (seconds of the epoch), and what they hear without asking."""

    user: str
    meta: Held
    expire_at: int = 0
    info: Data = UNSET
    data: Data = UNSET
    subs: dict[str, SubscribeOptions] = {}


class RefreshResult(Struct, frozen=True, omit_defaults=True):
    """It may stay until then, or it may not."""

    expired: bool = False
    expire_at: int = 0


class SubscribeResult(Struct, frozen=True, omit_defaults=True):
    """A subscription that is allowed."""

    expire_at: int = 0
    info: Data = UNSET
    override: Override | UnsetType = UNSET


class DataResult(Struct, frozen=True, omit_defaults=True):
    """What a signal's audience, or the caller of a method, gets."""

    data: Data = UNSET


Result = ConnectResult | RefreshResult | SubscribeResult | DataResult


class Disconnect(Struct, frozen=True):
    """The connection is closed."""

    code: int
    reason: str


class Response(Struct, frozen=True, omit_defaults=True):
    """One of the three."""

    result: Result | UnsetType = UNSET
    error: Error | UnsetType = UNSET
    disconnect: Disconnect | UnsetType = UNSET
