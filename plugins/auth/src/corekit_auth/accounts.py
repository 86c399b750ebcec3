"""One's own account: reading it, changing it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import PasswordChanged
from corekit_auth.email_change import EmailChange
from corekit_auth.errors import (
    CurrentPasswordInvalid,
    CurrentPasswordRequired,
    EmailDisabled,
    EmailExists,
    OtpExpired,
    PhoneDisabled,
    ReauthenticationNotValid,
    SamePassword,
)
from corekit_auth.flows import Pkce
from corekit_auth.gate import session_of
from corekit_auth.models import UserRow
from corekit_auth.objects import UserObject, user_object
from corekit_auth.parts import Parts
from corekit_auth.passwords import normalise
from corekit_auth.phone_change import PhoneChange
from corekit_auth.phones import normal_phone
from corekit_auth.purposes import SIGN_IN
from corekit_auth.records import Record
from corekit_auth.sending import Sending
from corekit_auth.sessions import Account
from corekit_auth.telling import tell
from corekit_auth.users import normal_email

_CURRENT = "current-password"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants changed of their own account; in `data`, a key set to null goes away.

    `nonce` is the code of GET /reauthenticate, in place of a fresh sign-in; `pkce` and `redirect_to` are for the link
    that confirms a new address; a new number is confirmed by SMS.
    """

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    current_password: str | None = None
    nonce: str | None = None
    data: Mapping[str, Any] | None = None
    pkce: Pkce | None = None
    redirect_to: str | None = None


class Accounts:
    """What people do with their own account."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._codes = parts.codes
        self._email_change = EmailChange(parts)
        self._phone_change = PhoneChange(parts)
        self._sending = Sending(parts)
        self._failures = parts.failures
        self._freshness = parts.freshness
        self._hasher = parts.hasher
        self._records = parts.records
        self._rules = parts.rules
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._users = parts.users

    async def me(self, caller: Caller) -> UserObject:
        """Return the account of who asks, while their session lives."""
        account: Account | Record | None = await self._records.read(caller, session_of(caller.actor))
        if account is None or account.user.id != caller.actor.id or account.user.banned_until is not None:
            async with caller.begin(readonly=True) as ctx:  # it says what stands against that
                account = await self._sessions.live(ctx, caller.actor)
        return user_object(account.user, account.identities, account.factors)

    async def update(self, caller: Caller, changes: Changes) -> UserObject:
        """Change one's own account: a new password ends all other sessions, a new address is confirmed by mail."""
        caller.demand_free("update_user")
        await self._throttle.otp(caller, "user")
        seen = await self._demanded(caller, changes)
        email, phone = self._new_email(seen.user, changes), self._new_phone(seen.user, changes)
        merged = self._merged(seen.user, changes.data or {})
        hashed = None
        if changes.password is not None:
            hashed = await self._hashed(caller, seen, changes, email or seen.user.email or "", merged)
        if email is not None and not self._settings.autoconfirm(caller.kit.env):
            await self._email_change.charge(caller, seen.user, email)
        if phone is not None and not self._settings.phone_trusted(caller.kit.env):
            await self._sending.charge(caller, phone)
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                return await self._write(ctx, caller.actor, seen, changes, new=(email, phone), hashed=hashed)
        except IntegrityError:
            raise EmailExists from None

    async def _demanded(self, caller: Caller, changes: Changes) -> Account:
        async with caller.begin(readonly=True) as ctx:
            seen = await self._sessions.live(ctx, caller.actor)
            delicate = (changes.email, changes.phone, changes.password)
            if not seen.user.is_anonymous and delicate != (None, None, None):
                fresh = changes.nonce is not None  # it is checked where it is used up
                await self._freshness.demand(ctx, seen, user_route=True, proved=fresh)
        return seen

    def _new_email(self, user: UserRow, changes: Changes) -> str | None:
        if changes.email is None or (email := normal_email(changes.email)) == user.email:
            return None
        if not self._settings.email:
            raise EmailDisabled
        return email

    def _new_phone(self, user: UserRow, changes: Changes) -> str | None:
        if changes.phone is None:
            return None
        if not self._settings.phone:
            raise PhoneDisabled
        phone = normal_phone(changes.phone)
        return None if phone == user.phone and user.phone_confirmed_at is not None else phone

    def _merged(self, user: UserRow, data: Mapping[str, Any]) -> dict[str, Any]:
        merged = user.user_metadata | dict(data)
        return self._users.checked_metadata({key: value for key, value in merged.items() if value is not None})

    async def _hashed(
        self, caller: Caller, seen: Account, changes: Changes, email: str, metadata: Mapping[str, Any]
    ) -> str:
        password = await self._rules.demand(changes.password or "", email, metadata)
        stored, current = seen.user.password_hash, changes.current_password
        if stored is not None and self._settings.demand_current_password and not self._recovering(caller, seen):
            if not current:
                raise CurrentPasswordRequired
            await self._demand_current(caller, seen.user, stored, normalise(current))
        if stored is not None and await self._hasher.verify(stored, password):
            raise SamePassword
        return await self._hasher.hash(password)

    def _recovering(self, caller: Caller, seen: Account) -> bool:
        """Tell whether the session came of a password reset, a while ago at most: who forgot a password has none."""
        limit, now = self._settings.fresh_sign_in, caller.kit.clock.now().timestamp()
        resets = [step["timestamp"] for step in seen.session.amr if step["method"] == "recovery"]
        return any(limit == 0 or now - when <= limit for when in resets)

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
        changes: Changes,
        *,
        new: tuple[str | None, str | None],
        hashed: str | None,
    ) -> UserObject:
        await self._users.locked(ctx, seen.user.id)
        account = await self._sessions.live(ctx, actor)
        user = account.user
        if changes.nonce is not None and (new != (None, None) or hashed is not None):
            await self._demand_nonce(ctx, user, changes.nonce)
        user.updated_at = ctx.now()
        if changes.data is not None:
            user.user_metadata = self._merged(user, changes.data)
        if hashed is not None:
            await self._set_password(ctx, account, seen, hashed)
        await self._move(ctx, account, changes, *new)
        await ctx.session.flush()
        return user_object(user, account.identities, account.factors)

    async def _move(
        self, ctx: Context, account: Account, changes: Changes, email: str | None, phone: str | None
    ) -> None:
        """Change where somebody is reached: at once where that is trusted, otherwise when they have confirmed it."""
        user, settings, env = account.user, self._settings, ctx.kit.env
        if email is not None and settings.autoconfirm(env):
            await self._email_change.move(ctx, user, account.identities, email)
        elif email is not None:
            await self._email_change.begin(ctx, user, email, pkce=changes.pkce, redirect_to=changes.redirect_to)
        if phone is not None and settings.phone_trusted(env):
            await self._phone_change.move(ctx, user, account.identities, phone)
        elif phone is not None:
            await self._phone_change.begin(ctx, user, phone)

    async def _demand_nonce(self, ctx: Context, user: UserRow, nonce: str) -> None:
        try:
            await self._codes.use(
                ctx, ["reauthentication"], user.email or user.phone or "", nonce.strip(), user_id=user.id
            )
        except OtpExpired:
            raise ReauthenticationNotValid from None

    async def _set_password(self, ctx: Context, account: Account, seen: Account, hashed: str) -> None:
        """Replace the password; whoever got in with the old one, or with a code sent before, is out."""
        user = account.user
        if user.password_hash != seen.user.password_hash:
            raise CurrentPasswordInvalid  # it was changed meanwhile
        user.password_hash = hashed
        await self._codes.void(ctx, user.id)
        await self._sessions.end(ctx, user.id, "password", except_=account.session.id)
        await tell(ctx, PasswordChanged(user_id=user.id))
