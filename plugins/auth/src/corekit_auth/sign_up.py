"""Making an account with an address and a password."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError

from corekit.context import Caller
from corekit_auth.errors import SignupDisabled, UserAlreadyExists
from corekit_auth.hashing import Hasher
from corekit_auth.objects import Grant
from corekit_auth.passwords import PasswordRules
from corekit_auth.purposes import SIGN_IN
from corekit_auth.sessions import Sessions
from corekit_auth.settings import AuthSettings
from corekit_auth.throttle import Throttle
from corekit_auth.tokens import Tokens
from corekit_auth.users import Users, normal_email


class SignUp:
    """Takes new people in; their address counts as confirmed, so there is no sign-up where it must not."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        hasher: Hasher,
        rules: PasswordRules,
        sessions: Sessions,
        throttle: Throttle,
        tokens: Tokens,
        users: Users,
    ) -> None:
        self._settings = settings
        self._hasher = hasher
        self._rules = rules
        self._sessions = sessions
        self._throttle = throttle
        self._tokens = tokens
        self._users = users

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
        except IntegrityError:
            raise UserAlreadyExists from None
        return self._tokens.grant(user, [identity], session, key, caller.kit.clock.now())
