"""What administrators do with the accounts of others; callers and contexts are elevated for `auth.admin`."""

from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit.contracts.auth import PasswordChanged
from corekit.values import uuid7
from corekit_auth import edits
from corekit_auth.closing import Closing
from corekit_auth.drafts import AccountDraft, merged
from corekit_auth.errors import AuthProblem, EmailExists, NoSuchUser, PhoneExists, UserIdTaken, ValidationFailed
from corekit_auth.listing import Query, UserPage, page_of_users
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.objects import UserObject, user_object
from corekit_auth.parts import Parts
from corekit_auth.telling import tell


class Admin:
    """Lists, makes, changes and deletes accounts."""

    def __init__(self, parts: Parts, closing: Closing) -> None:
        self._closing = closing
        self._hasher = parts.hasher
        self._rules = parts.rules
        self._sessions = parts.sessions
        self._settings = parts.settings
        self._users = parts.users

    async def users(self, ctx: Context, query: Query) -> UserPage:
        """Return a page of accounts."""
        return await page_of_users(ctx, query)

    async def user(self, ctx: Context, user_id: UUID) -> UserObject:
        """Return one account, also one that was deleted and left a row (NoSuchUser)."""
        row = await ctx.session.get(UserRow, user_id)
        if row is None:
            raise NoSuchUser
        return user_object(row, *await self._users.ways(ctx, user_id))

    async def create_user(self, caller: Caller, draft: AccountDraft) -> UserObject:
        """Make an account with an address, a number, or both; nothing is sent to it.

        Raises:
            EmailExists, PhoneExists, UserIdTaken: another account has it.
            ValidationFailed, WeakPassword, MetadataTooLarge: naming the field.

        """
        caller.demand_free("create_user")
        draft = draft.normal()
        if not (draft.email or draft.phone):
            raise ValidationFailed("email, phone: Cannot create a user without either an email or phone")
        draft.banned_until(caller.kit.clock.now())
        hashed = await self._hashed(draft, draft.email or "", draft.user_metadata or {})
        user = self._new(caller, draft)
        try:
            async with caller.begin() as ctx:
                ctx.session.add(user)
                await ctx.session.flush()  # the account first: identities refer to it
                made = await self._apply(ctx, user, [], draft, hashed, new=True)
                await self._users.made(ctx, user)
                return made
        except IntegrityError as error:
            raise _taken(error) from None

    async def update_user(self, caller: Caller, user_id: UUID, draft: AccountDraft) -> UserObject:
        """Change an account; another password ends its sessions, so does a ban.

        Raises:
            NoSuchUser: there is no such account.
            EmailExists, PhoneExists: another account has it.
            ValidationFailed, WeakPassword, MetadataTooLarge: naming the field.

        """
        caller.demand_free("update_user_by_admin")
        draft = draft.normal()
        draft.banned_until(caller.kit.clock.now())
        async with caller.begin(readonly=True) as ctx:
            seen = next(iter(await self._users.by_id(ctx, [user_id])), None)
        if seen is None:
            raise NoSuchUser
        names = merged(seen.user_metadata, draft.user_metadata or {})
        hashed = await self._hashed(draft, draft.email or seen.email or "", names)
        try:
            async with caller.begin() as ctx:
                user = await self._closing.demand(ctx, user_id)
                return await self._apply(ctx, user, await self._users.identities(ctx, user_id), draft, hashed)
        except IntegrityError as error:
            raise _taken(error) from None

    async def delete_user(self, ctx: Context, user_id: UUID, *, soft: bool) -> None:
        """Delete an account (NoSuchUser)."""
        await self._closing.delete(ctx, user_id, soft=soft)

    async def sign_out(self, ctx: Context, user_id: UUID) -> None:
        """End all sessions of an account (NoSuchUser)."""
        await self._closing.demand(ctx, user_id)
        await self._sessions.end(ctx, user_id, "admin")

    async def _hashed(self, draft: AccountDraft, email: str, names: dict[str, Any]) -> str | None:
        if draft.password_hash:
            return draft.password_hash
        if not draft.password:
            return None
        return await self._hasher.hash(await self._rules.demand(draft.password, email, names))

    def _new(self, caller: Caller, draft: AccountDraft) -> UserRow:
        now = caller.kit.clock.now()
        return UserRow(
            id=draft.user_id or uuid7(),
            aud=self._settings.aud,
            role=self._settings.role,
            app_metadata={},
            user_metadata={},
            is_anonymous=False,
            created_at=now,
            updated_at=now,
        )

    async def _apply(
        self,
        ctx: Context,
        user: UserRow,
        identities: list[IdentityRow],
        draft: AccountDraft,
        hashed: str | None,
        *,
        new: bool = False,
    ) -> UserObject:
        user.role, user.aud = draft.role or user.role, draft.aud or user.aud
        if draft.email:
            await edits.set_email(ctx, user, identities, draft.email)
        if draft.phone:
            await edits.set_phone(ctx, user, identities, draft.phone)
        email, phone = bool(draft.email_confirm), bool(draft.phone_confirm)
        await edits.confirm(ctx, user, identities, email=email, phone=phone)
        self._describe(user, draft)
        if hashed is not None:
            await self._set_password(ctx, user, hashed, new=new)
        until = draft.banned_until(ctx.now())
        if until is not UNSET:
            await self._closing.apply_ban(ctx, user, until)
        user.updated_at = ctx.now()
        await ctx.session.flush()
        return user_object(user, identities, await self._users.factors(ctx, user.id))

    def _describe(self, user: UserRow, draft: AccountDraft) -> None:
        if draft.user_metadata is not None:
            wanted = merged(user.user_metadata, draft.user_metadata)
            user.user_metadata = self._users.checked_metadata(wanted, "user_metadata")
        if draft.app_metadata is not None:
            wanted = merged(user.app_metadata, draft.app_metadata)
            user.app_metadata = self._users.checked_metadata(wanted, "app_metadata")

    async def _set_password(self, ctx: Context, user: UserRow, hashed: str, *, new: bool) -> None:
        user.password_hash = hashed
        self._hasher.imported = self._hasher.imported or self._hasher.outdated(hashed)
        if not new:
            await self._sessions.end(ctx, user.id, "password")
            await edits.forget_codes(ctx, user.id)
            await tell(ctx, PasswordChanged(user_id=user.id))


def _taken(error: IntegrityError) -> AuthProblem:
    """Tell which address was taken, from the name of the constraint or column."""
    said = str(error.orig).partition("DETAIL")[0]
    if "phone_index" in said:
        return PhoneExists()
    return EmailExists() if "email" in said else UserIdTaken()
