"""Making an account with an address and a password."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError

from corekit.context import Caller
from corekit_auth.errors import SignupDisabled, UserAlreadyExists
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN
from corekit_auth.users import normal_email


class SignUp:
    """Takes new people in; their address counts as confirmed, so there is no sign-up where it must not."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._hasher = parts.hasher
        self._rules = parts.rules
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    def open(self, env: str) -> bool:
        """Tell whether anybody can sign up: without a way to confirm an address, only where none is asked for."""
        return self._settings.autoconfirm(env) and not self._settings.disable_signup

    async def with_password(self, caller: Caller, email: str, password: str, metadata: Mapping[str, Any]) -> Grant:
        """Make an account and sign it in."""
        caller.demand_free("sign_up")
        await self._throttle.otp(caller)
        if not self.open(caller.kit.env):
            raise SignupDisabled
        email = normal_email(email)
        metadata = self._users.checked_metadata(metadata)
        hashed = await self._hasher.hash(self._rules.check(password, email, metadata))
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                user, identity = await self._users.add(ctx, email, hashed, metadata)
                session, key = await self._sessions.begin(ctx, user, "password")
                return await self._tokens.grant(ctx, user, [identity], session, key)
        except IntegrityError:
            raise UserAlreadyExists from None
