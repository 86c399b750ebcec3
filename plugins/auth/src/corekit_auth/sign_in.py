"""Signing in with a password: the same work and the same answer whoever is asked for."""

from corekit.context import Caller
from corekit_auth.errors import BannedAtSignIn, EmailNotConfirmed, InvalidCredentials
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.passwords import normalise
from corekit_auth.purposes import SIGN_IN
from corekit_auth.users import normal_email

PASSWORD = "password"  # noqa: S105  # the name of a bucket


class SignIn:
    """Context, hash, context: the hash is computed while nothing is open."""

    def __init__(self, parts: Parts) -> None:
        self._failures = parts.failures
        self._hasher = parts.hasher
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    async def with_password(self, caller: Caller, email: str, password: str) -> Grant:
        """Begin a session.

        The attempt is charged before it is checked, and given back when it succeeds: parallel guesses all count.
        """
        caller.demand_free("sign_in")
        await self._throttle.sign_in(caller)
        email, password = normal_email(email), normalise(password)
        async with caller.system(SIGN_IN).begin() as ctx:
            await self._failures.charge(ctx, PASSWORD, email)
            found = await self._users.by_email(ctx, email)
        stored = found.password_hash if found else None
        if not await self._hasher.verify(stored, password) or found is None or stored is None:
            raise InvalidCredentials
        self._admit(caller, found)
        rehashed = await self._hasher.hash(password) if self._hasher.outdated(stored) else stored
        grant = await self._begin(caller, found, rehashed)
        await self._throttle.signed_in(caller)
        return grant

    def _admit(self, caller: Caller, user: UserRow) -> None:
        if user.banned_until is not None and user.banned_until > caller.kit.clock.now():
            raise BannedAtSignIn
        if user.email_confirmed_at is None:
            raise EmailNotConfirmed

    async def _begin(self, caller: Caller, found: UserRow, rehashed: str) -> Grant:
        """Write what follows from the right password, unless the account changed while it was checked."""
        async with caller.system(SIGN_IN).begin() as ctx:
            user = await self._users.locked(ctx, found.id)
            if user is None or user.password_hash != found.password_hash or user.email != found.email:
                raise InvalidCredentials
            self._admit(caller, user)
            user.password_hash = rehashed
            session, key = await self._sessions.begin(ctx, user, "password")
            identities = await self._users.identities(ctx, user.id)
            await self._failures.forget(ctx, PASSWORD, found.email or "")
            return await self._tokens.grant(ctx, user, identities, session, key)
