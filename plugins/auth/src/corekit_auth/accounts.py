"""One's own account: reading it, changing it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import PasswordChanged
from corekit.events import emit
from corekit_auth.errors import (
    CurrentPasswordInvalid,
    CurrentPasswordRequired,
    EmailExists,
    FeatureDisabled,
    SamePassword,
)
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.objects import UserObject, user_object
from corekit_auth.parts import Parts
from corekit_auth.passwords import normalise
from corekit_auth.purposes import SIGN_IN
from corekit_auth.sessions import Account
from corekit_auth.users import email_identity, normal_email

_CURRENT = "current-password"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants changed of their own account; in `data`, a key set to null goes away."""

    email: str | None = None
    password: str | None = None
    current_password: str | None = None
    data: Mapping[str, Any] | None = None


class Accounts:
    """What people do with their own account."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._failures = parts.failures
        self._freshness = parts.freshness
        self._hasher = parts.hasher
        self._rules = parts.rules
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._users = parts.users

    async def me(self, ctx: Context) -> UserObject:
        """Return the account of who asks, while their session lives."""
        account = await self._sessions.live(ctx, ctx.actor)
        return user_object(account.user, account.identities, account.factors)

    async def update(self, caller: Caller, changes: Changes) -> UserObject:
        """Change one's own account; a new password ends all other sessions."""
        caller.demand_free("update_user")
        await self._throttle.otp(caller)
        async with caller.begin(readonly=True) as ctx:
            seen = await self._sessions.live(ctx, caller.actor)
            if changes.email is not None or changes.password is not None:
                await self._freshness.demand(ctx, seen, user_route=True)
        email = self._new_email(caller, seen.user, changes)
        merged = self._merged(seen.user, changes.data or {})
        hashed = None
        if changes.password is not None:
            hashed = await self._hashed(caller, seen.user, changes, email or seen.user.email or "", merged)
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                return await self._write(ctx, caller.actor, seen, email=email, hashed=hashed, data=changes.data)
        except IntegrityError:
            raise EmailExists from None

    def _new_email(self, caller: Caller, user: UserRow, changes: Changes) -> str | None:
        if changes.email is None or (email := normal_email(changes.email)) == user.email:
            return None
        if not self._settings.autoconfirm(caller.kit.env):
            raise FeatureDisabled("a new address must be confirmed by mail, which is off")
        return email

    def _merged(self, user: UserRow, data: Mapping[str, Any]) -> dict[str, Any]:
        merged = user.user_metadata | dict(data)
        return self._users.checked_metadata({key: value for key, value in merged.items() if value is not None})

    async def _hashed(
        self, caller: Caller, user: UserRow, changes: Changes, email: str, metadata: Mapping[str, Any]
    ) -> str:
        password = self._rules.check(changes.password or "", email, metadata)
        stored, current = user.password_hash, changes.current_password
        if stored is not None and self._settings.demand_current_password:
            if not current:
                raise CurrentPasswordRequired
            await self._demand_current(caller, user, stored, normalise(current))
        if stored is not None and await self._hasher.verify(stored, password):
            raise SamePassword
        return await self._hasher.hash(password)

    async def _demand_current(self, caller: Caller, user: UserRow, stored: str, current: str) -> None:
        """Check the current password; guesses count, or a stolen access token could find it out."""
        async with caller.system(SIGN_IN).begin() as ctx:
            await self._failures.charge(ctx, _CURRENT, user.id.hex)
        if not await self._hasher.verify(stored, current):
            raise CurrentPasswordInvalid
        async with caller.system(SIGN_IN).begin() as ctx:
            await self._failures.forget(ctx, _CURRENT, user.id.hex)

    async def _write(
        self,
        ctx: Context,
        actor: Actor,
        seen: Account,
        *,
        email: str | None,
        hashed: str | None,
        data: Mapping[str, Any] | None,
    ) -> UserObject:
        await self._users.locked(ctx, seen.user.id)
        account = await self._sessions.live(ctx, actor)
        user = account.user
        user.updated_at = ctx.now()
        if data is not None:
            user.user_metadata = self._merged(user, data)
        if email is not None:
            await self._move(ctx, user, account.identities, email)
        if hashed is not None:
            if user.password_hash != seen.user.password_hash:
                raise CurrentPasswordInvalid  # it was changed meanwhile
            user.password_hash = hashed
            await self._sessions.end(ctx, user.id, "password", except_=account.session.id)
            await emit(ctx, PasswordChanged(user_id=user.id))
        await ctx.session.flush()
        return user_object(user, account.identities, account.factors)

    async def _move(self, ctx: Context, user: UserRow, identities: list[IdentityRow], email: str) -> None:
        if await ctx.session.scalar(select(UserRow.id).where(UserRow.email == email)) is not None:
            raise EmailExists
        user.email, user.email_confirmed_at = email, ctx.now()
        for identity in identities:
            if identity.provider == "email":
                identity.email = email
                identity.identity_data = identity.identity_data | email_identity(user.id, email)
                identity.updated_at = ctx.now()
