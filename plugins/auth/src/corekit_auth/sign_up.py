"""Making an account with an address or number and a password."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit_auth.addresses import normal_address
from corekit_auth.errors import SignupDisabled, UserAlreadyExists, ValidationFailed
from corekit_auth.flows import Pkce
from corekit_auth.objects import Grant, UserObject, user_object
from corekit_auth.parts import Parts
from corekit_auth.phones import is_phone
from corekit_auth.purposes import SIGN_IN
from corekit_auth.sending import Sending


class SignUp:
    """Takes new people in: at once where addresses are trusted, otherwise once the code that was mailed comes back."""

    def __init__(self, parts: Parts) -> None:
        self._hasher = parts.hasher
        self._rules = parts.rules
        self._sending = Sending(parts)
        self._sessions = parts.sessions
        self._settings = parts.settings
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    async def with_password(
        self,
        caller: Caller,
        address: str,
        password: str,
        metadata: Mapping[str, Any],
        *,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
    ) -> Grant | UserObject:
        """Make an account; a User without a session says that its address is to be confirmed first.

        Raises:
            ValidationFailed: a number with a challenge: no link leads back to the client.

        """
        caller.demand_free("sign_up")
        await self._throttle.otp(caller, "signup")
        address = normal_address(address, self._settings)
        if self._settings.disable_signup:
            raise SignupDisabled
        if is_phone(address) and pkce is not None:
            raise ValidationFailed("code_challenge: PKCE is not for a sign-up by phone")
        metadata = self._users.checked_metadata(metadata)
        password = await self._rules.demand(password, address, metadata)
        settings, env = self._settings, caller.kit.env
        trusted = settings.phone_trusted(env) if is_phone(address) else settings.autoconfirm(env)
        if not trusted:
            await self._sending.charge(caller, address)
        hashed = await self._hasher.hash(password)
        if trusted:
            return await self._at_once(caller, address, hashed, metadata)
        try:
            return await self._on_trust(caller, address, hashed, metadata, pkce=pkce, redirect_to=redirect_to)
        except IntegrityError:  # somebody else was faster: now the account is there
            return await self._on_trust(caller, address, hashed, metadata, pkce=pkce, redirect_to=redirect_to)

    async def _at_once(self, caller: Caller, address: str, hashed: str, metadata: Mapping[str, Any]) -> Grant:
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                user, identity = await self._users.add(ctx, address, hashed, metadata)
                session, key = await self._sessions.begin(ctx, user, "password")
                return await self._tokens.grant(ctx, user, [identity], session, key)
        except IntegrityError:
            raise UserAlreadyExists from None

    async def _on_trust(
        self,
        caller: Caller,
        address: str,
        hashed: str,
        metadata: Mapping[str, Any],
        *,
        pkce: Pkce | None,
        redirect_to: str | None,
    ) -> UserObject:
        """Make the account unless there is one, and leave the rest to the job; nobody sees which it was."""
        async with caller.system(SIGN_IN).begin() as ctx:
            answer = await self._unconfirmed(ctx, address, hashed, metadata)
            await self._sending.write(ctx, "signup", address, pkce=pkce, redirect_to=redirect_to)
        return answer

    async def _unconfirmed(self, ctx: Context, address: str, hashed: str, metadata: Mapping[str, Any]) -> UserObject:
        draft = await self._users.draft(ctx, address, metadata)
        found = await self._users.at(ctx, address)
        if found is None:
            user, identity = await self._users.create(ctx, draft, hashed, confirmed=False)
            user.confirmation_sent_at = ctx.now()
            return user_object(user, [identity])
        if found.email_confirmed_at is None and found.phone_confirmed_at is None and found.invited_at is None:
            # The newest code voids the older ones, so what counts is what came with its request.
            found.password_hash, found.user_metadata = hashed, dict(draft.user_metadata)
            found.updated_at = found.confirmation_sent_at = ctx.now()
        user, identity = self._users.rows(ctx, draft, hashed, confirmed=False)
        user.confirmation_sent_at = ctx.now()
        return user_object(user, [identity] if self._settings.made_up_identity else [])
