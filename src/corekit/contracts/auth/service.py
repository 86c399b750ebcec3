"""The capability itself."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from corekit.context import Caller, Context
from corekit.contracts.auth.objects import EndReason, SessionInfo, TokenPair, User


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

    async def find(self, ctx: Context, *, email: str = "", phone: str = "") -> User | None:
        """Return the account with this address, or with this number."""
        ...

    async def sessions(self, ctx: Context, user_id: UUID) -> list[SessionInfo]:
        """Return the live sessions of a user, newest first."""
        ...

    async def end_sessions(
        self, ctx: Context, user_id: UUID, *, except_: UUID | None = None, reason: EndReason = "admin"
    ) -> int:
        """End all sessions of a user but one; return how many ended. They are refused from the commit on."""
        ...

    async def ban(self, ctx: Context, user_id: UUID, until: datetime | None) -> None:
        """Ban an account until then, which ends its sessions; None lifts the ban. Under an elevated purpose."""
        ...

    async def delete(self, ctx: Context, user_id: UUID, *, soft: bool = False) -> None:
        """Delete an account; `soft` keeps a row that says that it was there. Under an elevated purpose."""
        ...

    async def issue(self, ctx: Context, user_id: UUID, *, method: str = "password") -> TokenPair:
        """Begin a session without a proof: for tests and importers, under an elevated purpose."""
        ...
