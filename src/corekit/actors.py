"""Who acts, how they proved it, and from where."""

from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from corekit.errors import Invalid
from corekit.values import parse_id

Kind = Literal["user", "service", "system", "nobody"]


class Proof(msgspec.Struct, frozen=True):
    """How and when an actor signed in: session, assurance level (1 or 2), methods, time, scopes, protocol role."""

    session_id: UUID | None = None
    aal: int = 1
    methods: tuple[str, ...] = ()
    authenticated_at: datetime | None = None
    expires_at: datetime | None = None
    client_id: str | None = None
    scopes: tuple[str, ...] = ()
    role: str = ""


class Actor:
    """Who acts: a UUID, `usr_…`, or in tests a name, `Actor("alice")`, which stands for its UUIDv5."""

    __slots__ = ("id", "kind", "name", "proof", "roles")

    def __init__(
        self,
        id: UUID | str,  # noqa: A002  # the field's own name
        kind: Kind = "user",
        roles: frozenset[str] = frozenset(),
        proof: Proof | None = None,
    ) -> None:
        self.id = id if isinstance(id, UUID) else _named(id, kind)
        self.name = id if isinstance(id, str) and kind != "user" else ""
        self.kind = kind
        self.roles = roles
        self.proof = proof

    @classmethod
    def of(cls, host: str, key: int | str, roles: frozenset[str] = frozenset()) -> "Actor":
        """Map a host application's own user: `Actor.of("django", 42)` is the same actor every time."""
        return cls(uuid5(NAMESPACE_URL, f"corekit:{host}:{key}"), roles=roles)

    @classmethod
    def system(cls, purpose: str) -> "Actor":
        """Name the actor of a declared purpose."""
        return cls(purpose, "system")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Actor) and (self.id, self.kind) == (other.id, other.kind)

    def __hash__(self) -> int:
        return hash((self.id, self.kind))

    def __repr__(self) -> str:
        return f"Actor({self.kind}:{self.name or self.id})"


@lru_cache(maxsize=1024)
def _named(text: str, kind: Kind) -> UUID:
    """Read an id; any other text stands for itself."""
    try:
        return parse_id("usr", text)
    except Invalid:
        return uuid5(NAMESPACE_URL, f"corekit:{kind}:{text}")


NOBODY = Actor(UUID(int=0), "nobody")


class Client(msgspec.Struct, frozen=True):
    """Where a caller speaks from: network address, user agent, device id."""

    address: str = ""
    user_agent: str = ""
    device: str = ""
