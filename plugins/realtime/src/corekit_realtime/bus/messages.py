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


class Change(Struct, frozen=True, array_like=True):
    """Somebody came to a channel; without a user, left it."""

    channel: str
    info: ClientInfo


class Changes(Struct, frozen=True, tag="c", array_like=True):
    """What the journal of a node says after `since`, up to `until`; it ends at `last` now, with this checksum.

    `changes`, encoded, are read only where they are news.
    """

    origin: str
    since: int
    until: int
    last: int
    checksum: int
    changes: Raw


class Digest(Struct, frozen=True, tag="g", array_like=True):
    """A node is there: where its journal ends and the checksum of its clients; it is gone after so much `silence`.

    `greets` asks the others to say the same of themselves.
    """

    origin: str
    last: int
    checksum: int
    silence: float
    greets: bool


class Ask(Struct, frozen=True, tag="a", array_like=True):
    """A node lacks what the journal of another one, `node`, says after `since`."""

    origin: str
    node: str
    since: int


class Farewell(Struct, frozen=True, tag="f", array_like=True):
    """A node stops."""

    origin: str


PresenceMessage = Changes | Digest | Ask | Farewell
Message = Published | Unsubscribe | Disconnect | PresenceMessage
