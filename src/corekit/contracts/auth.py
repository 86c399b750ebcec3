"""Auth: who somebody is, and the sessions they hold."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from corekit.context import Actor, Caller, Context
from corekit.events import Event
from corekit.hooks import hookspec

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


class UserCreated(Event, frozen=True, tag="auth.user_created"):
    """An account was made."""

    user_id: UUID


class SignedIn(Event, frozen=True, tag="auth.signed_in"):
    """A session began."""

    user_id: UUID
    session_id: UUID
    method: str


class SessionEnded(Event, frozen=True, tag="auth.session_ended"):
    """A session is over: its tokens are refused and its sockets close."""

    user_id: UUID
    session_id: UUID
    reason: EndReason


class RefreshReuseDetected(Event, frozen=True, tag="auth.refresh_reuse_detected"):
    """A refresh token came back that somebody else had used: the session was ended."""

    user_id: UUID
    session_id: UUID


class PasswordChanged(Event, frozen=True, tag="auth.password_changed"):
    """A password was changed."""

    user_id: UUID


@hookspec
async def authenticate(token: str, caller: Caller) -> Actor | Denied | None:
    """Turn a bearer token into an actor. None = not mine; Denied = mine and refused. Only the first answer counts."""


class Auth(Protocol):
    """Accounts and sessions. Exactly one plugin provides it."""

    async def sign_up(self, caller: Caller, *, email: str, password: str) -> TokenPair:
        """Make an account whose address is confirmed at once, and sign it in."""
        ...

    async def sign_in(self, caller: Caller, *, email: str, password: str) -> TokenPair:
        """Sign in with a password."""
        ...

    async def user(self, ctx: Context, user_id: UUID) -> User | None:
        """Return one account."""
        ...

    async def users(self, ctx: Context, user_ids: Iterable[UUID]) -> dict[UUID, User]:
        """Return the accounts that exist, by id."""
        ...

    async def find(self, ctx: Context, *, email: str) -> User | None:
        """Return the account with this address."""
        ...

    async def sessions(self, ctx: Context, user_id: UUID) -> list[SessionInfo]:
        """Return the live sessions of a user, newest first."""
        ...

    async def end_sessions(
        self, ctx: Context, user_id: UUID, *, except_: UUID | None = None, reason: EndReason = "admin"
    ) -> int:
        """End all sessions of a user but one; return how many ended. They are refused from the commit on."""
        ...

    async def issue(self, ctx: Context, user_id: UUID, *, method: str = "password") -> TokenPair:
        """Begin a session without a proof: for tests and importers, under an elevated purpose."""
        ...
