"""What closes an account: a ban for a time, deletion for good. Both end its sessions in the same transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete

from corekit.context import Context
from corekit.contracts.auth import UserBanned, UserDeleted
from corekit_auth.errors import NoSuchUser
from corekit_auth.models import (
    FactorRow,
    FlowStateRow,
    IdentityRow,
    KnownDeviceRow,
    OneTimeTokenRow,
    PasskeyChallengeRow,
    PasskeyRow,
    RecoveryCodeRow,
    UserRow,
)
from corekit_auth.parts import Parts
from corekit_auth.telling import tell

_GO_WITH_IT = (
    IdentityRow,
    FactorRow,
    RecoveryCodeRow,
    PasskeyRow,
    PasskeyChallengeRow,
    OneTimeTokenRow,
    FlowStateRow,
    KnownDeviceRow,
)


class Closing:
    """Bans and deletes, in an elevated context."""

    def __init__(self, parts: Parts) -> None:
        self._sessions = parts.sessions
        self._users = parts.users

    async def ban(self, ctx: Context, user_id: UUID, until: datetime | None) -> None:
        """Ban an account until then; None lifts the ban.

        Raises:
            NoSuchUser: there is no such account.

        """
        await self.apply_ban(ctx, await self.demand(ctx, user_id), until)

    async def apply_ban(self, ctx: Context, user: UserRow, until: datetime | None) -> None:
        """Ban an account that was read for changing."""
        user.banned_until, user.updated_at = until, ctx.now()
        if until is not None and until > ctx.now():
            await self._sessions.end(ctx, user.id, "ban")
            await tell(ctx, UserBanned(user_id=user.id))

    async def delete(self, ctx: Context, user_id: UUID, *, soft: bool = False) -> None:
        """Delete an account with all that belongs to it; `soft` keeps a row that says that it was there.

        Raises:
            NoSuchUser: there is no such account.

        """
        user = await self.demand(ctx, user_id, deleted=True)
        if soft and user.deleted_at is not None:
            return
        await self._sessions.end(ctx, user_id, "delete")
        if soft:
            await self._empty(ctx, user)
        else:
            await ctx.session.flush()
            await ctx.session.delete(user)
        await tell(ctx, UserDeleted(user_id=user_id, soft=soft))

    async def demand(self, ctx: Context, user_id: UUID, *, deleted: bool = False) -> UserRow:
        """Read an account that nobody else changes before this work ends (NoSuchUser)."""
        user = await ctx.session.get(UserRow, user_id, with_for_update=True, populate_existing=True)
        if user is None or (user.deleted_at is not None and not deleted):
            raise NoSuchUser
        return user

    async def _empty(self, ctx: Context, user: UserRow) -> None:
        """Leave nothing that tells who it was: addresses become keyed hashes, which free them for a new account."""
        for row in _GO_WITH_IT:
            await ctx.session.execute(delete(row).where(row.user_id == user.id))
        now, mac = ctx.now(), ctx.kit.keyring.mac
        if user.email is not None:
            user.email = mac("auth_users.deleted", f"{user.id}:{user.email}").hex()
        if user.phone is not None:
            user.phone = mac("auth_users.deleted", f"{user.id}:{user.phone}").hex()
            user.phone_index = mac("auth_users.deleted.index", user.phone)
        user.new_email = user.new_phone = user.password_hash = None
        user.user_metadata, user.app_metadata = {}, {}
        user.updated_at = user.deleted_at = now
