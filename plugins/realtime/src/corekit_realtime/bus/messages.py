"""What nodes tell each other."""

from uuid import UUID

from msgspec import Raw, Struct

from corekit_realtime.protocol import ClientInfo


class Published(Struct, frozen=True, tag="p", array_like=True):
    """A publication; `data` is the application's encoded JSON."""

    origin: str
    channel: str
    offset: int
    data: Raw
    info: ClientInfo | None = None


class Unsubscribe(Struct, frozen=True, tag="u", array_like=True):
    """A user's subscriptions to `name` end; it goes to the shard of the user's own channel: all their nodes hear it."""

    origin: str
    channel: str
    user: UUID
    name: str
    code: int


class Disconnect(Struct, frozen=True, tag="d", array_like=True):
    """Connections of a user end, or of one sign-in."""

    origin: str
    channel: str
    user: UUID
    sign_in: UUID | None
    code: int


Message = Published | Unsubscribe | Disconnect
