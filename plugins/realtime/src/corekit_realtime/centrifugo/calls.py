"""What is asked of Centrifugo's server API: names as in its `api.proto`, in JSON; `data` is JSON."""

from msgspec import Raw, Struct


class Publish(Struct, frozen=True):
    """Publish; the same key again within some minutes publishes nothing."""

    channel: str
    data: Raw
    idempotency_key: str


class Unsubscribe(Struct, frozen=True):
    """End a user's subscriptions to a channel, for good: its clients hear 2000."""

    channel: str
    user: str


class Disconnect(Struct, frozen=True):
    """How a connection is closed."""

    code: int
    reason: str


class DisconnectUser(Struct, frozen=True):
    """Close a user's connections."""

    user: str
    disconnect: Disconnect


class OfChannel(Struct, frozen=True):
    """Ask about a channel: `presence` and `presence_stats`."""

    channel: str


class Info(Struct, frozen=True):
    """Ask about the nodes."""


Request = Publish | Unsubscribe | DisconnectUser | OfChannel | Info


class Call(Struct, frozen=True):
    """One command: its name in the API, and what it says."""

    name: str
    request: Request
