"""Realtime: tell connected clients. Durable truth stays in the database: a channel's offset is a sequence there."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from corekit.context import Context
from corekit.events import Event
from corekit.hooks import hookspec

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
_MARK = "__corekit_method__"


class WentOffline(Event, frozen=True, tag="realtime.went_offline"):
    """A user's last device is gone, on every node, and has not come back within `leave_delay`; `at` is when it went.

    Told by a node that is left, and more than once where devices on several nodes go at the same moment, so that a
    listener takes the newest `at`. Where all processes end together, nobody tells it.
    """

    user: UUID
    at: datetime


class Publication(msgspec.Struct, frozen=True):
    """One entry of a channel: `data` is encoded JSON, `offset` its place in the log (0 = none)."""

    data: bytes
    offset: int = 0


class Namespace(msgspec.Struct, frozen=True):
    """A family of channels, `<name>:<TypeID with this prefix>`, and what clients may do there.

    `about` and `carries`, the types of what is published (none: any JSON), are for the description.
    """

    name: str
    prefix: str
    publish: bool = False
    server_side: bool = False
    presence: bool = False
    join_leave: bool = False
    join_leave_max: int = 100
    history: bool = True
    ttl: int = 0
    about: str = ""
    carries: tuple[type, ...] = ()


class ChannelLog(Protocol):
    """The durable log behind a recoverable namespace; `channel` is the id behind the colon, already parsed."""

    async def position(self, ctx: Context, channel: UUID) -> tuple[str, int]:
        """Return the channel's (epoch, last offset)."""
        ...

    async def since(self, ctx: Context, channel: UUID, offset: int, limit: int) -> list[Publication]:
        """Return the publications above `offset`, in order, at most `limit`."""
        ...


class ClientInfo(msgspec.Struct, frozen=True):
    """One connected device, as others see it; `user` is `usr_…`."""

    user: str
    client: str
    conn_info: Any = None
    chan_info: Any = None


class Presence(msgspec.Struct, frozen=True):
    """Who is subscribed to a channel, by client id."""

    clients: dict[str, ClientInfo]

    @property
    def users(self) -> int:
        """Count different users."""
        return len({client.user for client in self.clients.values()})


class Online(msgspec.Struct, frozen=True):
    """Whether a user has a connection, and on how many devices."""

    devices: int


class Hello(msgspec.Struct, frozen=True):
    """What a client said when it connected; claims, not proofs."""

    client: str
    name: str = ""
    version: str = ""
    data: Any = None


class Welcome(msgspec.Struct, frozen=True):
    """What a plugin adds to a connection: data for the client, server-side subscriptions, info for others."""

    data: Any = None
    channels: tuple[str, ...] = ()
    conn_info: Any = None


class SubscribeRequest(msgspec.Struct, frozen=True):
    """A client asks to hear a channel."""

    channel: str
    namespace: str
    id: UUID
    data: Any = None


class Grant(msgspec.Struct, frozen=True):
    """A subscription that is allowed.

    `replay` says that nothing in the channel's log is hidden from this subscriber: a cache beside the log that knows no
    policies, as Centrifugo's, may then give them what they missed. The log itself is always read as the subscriber.
    """

    expires_at: datetime | None = None
    info: Any = None
    join_leave: bool = True
    replay: bool = False


class PublishRequest(msgspec.Struct, frozen=True):
    """A client asks to publish an ephemeral signal."""

    channel: str
    namespace: str
    id: UUID
    data: Any = None


@hookspec
async def connecting(hello: Hello, ctx: Context) -> Welcome | None:
    """Add to a connection that is being made; raise a Problem to refuse it (close 3507). All answers count."""


@hookspec
async def can_subscribe(request: SubscribeRequest, ctx: Context) -> Grant | None:
    """Allow a subscription. The first answer wins; no opinion from anyone is a refusal (error 103)."""


@hookspec
async def can_publish(request: PublishRequest, ctx: Context) -> bool | None:
    """Allow a client to publish an ephemeral signal. The first answer wins; none is a refusal (error 103)."""


def method(name: str, *, readonly: bool = False) -> Callable[[F], F]:
    """Mark an async method as an RPC method `(caller: Caller | ctx: Context, request: Struct) -> Struct`.

    The first parameter's type decides: `Context` opens one context per call (`readonly` says which), `Caller` none.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, (name, readonly))
        return function

    return mark


def method_of(function: Any) -> tuple[str, bool] | None:
    """Return the (name, readonly) of a marked method."""
    mark: tuple[str, bool] | None = getattr(function, _MARK, None)
    return mark


class MethodSurface(msgspec.Struct, frozen=True):
    """An RPC method as its callers see it: the types of what goes in and comes out."""

    name: str
    about: str
    request: Any
    answer: Any


class Surface(msgspec.Struct, frozen=True):
    """What clients may hear and call at a path; with each namespace comes whether it is recoverable."""

    path: str
    namespaces: tuple[tuple[Namespace, bool], ...]
    methods: tuple[MethodSurface, ...]


class Realtime(Protocol):
    """Tell connected clients. Users are UUIDs here; what leaves the process says `usr_…`."""

    def add(self, namespace: Namespace, *, log: ChannelLog | None = None) -> None:
        """Add a family of channels, in a lifespan; with a log it is recoverable."""
        ...

    def methods(self, methods: object) -> None:
        """Add the marked RPC methods of an object, in a lifespan."""
        ...

    async def publish(self, channel: str, data: bytes, *, offset: int = 0, ctx: Context | None = None) -> None:
        """Hand encoded JSON to the channel's subscribers; never waits for a socket.

        With `ctx` it goes out when that unit of work has committed, and is dropped on rollback. Publications with an
        offset are delivered once and in order, whatever the order of the calls.
        """
        ...

    async def unsubscribe(self, user: UUID, channel: str, code: int = 2000) -> None:
        """End a user's subscriptions to a channel (2000 = for good, 2500 = insufficient state: come again)."""
        ...

    async def disconnect(self, user: UUID, *, sign_in: UUID | None = None, code: int = 3503) -> None:
        """Close a user's connections, or only those of one sign-in."""
        ...

    async def presence(self, channel: str) -> Presence:
        """Tell who is subscribed to a channel."""
        ...

    async def online(self, users: Iterable[UUID]) -> dict[UUID, Online]:
        """Tell which of these users are connected."""
        ...

    def surface(self) -> Surface:
        """Tell what has been added, for the description."""
        ...
