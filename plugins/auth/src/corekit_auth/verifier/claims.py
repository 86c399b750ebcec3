"""What an access token says, and why one is refused."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

Reason = Literal["foreign", "expired", "invalid"]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]  # since 1970


class Method(msgspec.Struct, frozen=True):
    """One step of a sign-in."""

    method: str
    timestamp: Seconds
    provider: str | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says; claims that a hook added are in the token, not here."""

    iss: str
    sub: UUID
    aud: str
    exp: Seconds
    iat: Seconds
    session_id: UUID
    role: str
    nbf: Seconds = 0
    email: str = ""
    phone: str = ""
    app_metadata: dict[str, Any] = {}
    user_metadata: dict[str, Any] = {}
    aal: Literal["aal1", "aal2"] = "aal1"
    amr: tuple[Method, ...] = ()
    is_anonymous: bool = False
    client_id: str | None = None
    scope: str = ""


class InvalidToken(Exception):
    """A refused token: `foreign` is not ours at all, `expired` was good once, `invalid` is ours and wrong."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the token is {reason}")
        self.reason: Reason = reason


class UnknownKey(InvalidToken):
    """The same, where the key set has no such `kid`: a newer one may."""
