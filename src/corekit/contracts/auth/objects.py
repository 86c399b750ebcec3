"""What auth says of accounts and sessions."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

EndReason = Literal["logout", "others", "global", "password", "mfa", "ban", "delete", "reuse", "expired", "admin"]
DenyReason = Literal["expired", "invalid", "revoked", "banned"]


class Denied(msgspec.Struct, frozen=True):
    """A token that is ours and refused; it ends the search for somebody who knows the token."""

    reason: DenyReason


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as other plugins see it."""

    id: UUID
    email: str = ""
    role: str = "authenticated"
    user_metadata: dict[str, Any] = {}
    created_at: datetime
    banned_until: datetime | None = None


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in that is still good."""

    id: UUID
    user_id: UUID
    aal: int
    created_at: datetime
    refreshed_at: datetime | None = None


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a client holds: a signed access token, good for `expires_in` seconds, and the refresh token behind it."""

    user_id: UUID
    access_token: str
    refresh_token: str
    expires_in: int
    session_id: UUID
