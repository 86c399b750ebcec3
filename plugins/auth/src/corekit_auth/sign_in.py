"""Signing in with a password: the same work and the same answer whoever is asked for."""

from uuid import UUID

from corekit.context import Caller, Context
from corekit.contracts.auth import AccountThrottled, Attempt, password_verification_attempt
from corekit_auth.addresses import normal_address
from corekit_auth.candidates import Candidate, Candidates
from corekit_auth.errors import BannedAtSignIn, EmailNotConfirmed, InvalidCredentials, PhoneNotConfirmed
from corekit_auth.hook_time import in_time
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.passwords import normalise
from corekit_auth.phones import is_phone
from corekit_auth.purposes import SIGN_IN
from corekit_auth.telling import tell, tell_failure

PASSWORD = "password"  # noqa: S105  # the name of a bucket


class SignIn:
    """Context, hash, context: the hash is computed while nothing is open."""

    def __init__(self, parts: Parts) -> None:
        self._candidates = Candidates(parts.devices)
        self._devices = parts.devices
        self._failures = parts.failures
        self._hasher = parts.hasher
        self._sessions = parts.sessions
        self._settings = parts.settings
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    async def with_password(self, caller: Caller, address: str, password: str) -> Grant:
        """Begin a session.

        The attempt is charged before it is checked, and given back when it succeeds: parallel guesses all count.
        """
        caller.demand_free("sign_in")
        await self._throttle.sign_in(caller)
        address, password = normal_address(address, self._settings), normalise(password)
        found = await self._candidates.at(caller.system(SIGN_IN), address)
        bucket = bucket_of(address, self._devices.mac(caller) if found and found.knows_device else None)
        async with caller.system(SIGN_IN).begin() as ctx:
            last = await self._failures.charge(ctx, PASSWORD, bucket)
        stored = found.password_hash if found else None
        if not await self._hasher.verify(stored, password) or found is None or stored is None:
            await self._failed(caller, found, last=last)
            raise InvalidCredentials
        self._admit(caller, found, address)
        rehashed = await self._hasher.hash(password) if self._hasher.outdated(stored) else stored
        grant = await self._begin(caller, found, rehashed, bucket, address)
        await self._throttle.signed_in(caller)
        return grant

    async def _failed(self, caller: Caller, found: Candidate | None, *, last: bool) -> None:
        """Tell whoever watches, in a context for known and unknown alike; what they write stays.

        `last` is the failure after which the account waits.
        """
        async with caller.system(SIGN_IN).begin() as ctx:
            await tell_failure(ctx, found.id if found else None, PASSWORD)
            if last and found is not None:
                await tell(ctx, AccountThrottled(user_id=found.id))
            await self._ask(ctx, found.id if found else None, valid=False)

    async def _ask(self, ctx: Context, user_id: UUID | None, *, valid: bool) -> None:
        if user_id is None:
            return
        attempt = Attempt(user_id=user_id, valid=valid)
        asked = ctx.kit.hooks.first(password_verification_attempt, attempt, ctx)
        no = await in_time(self._settings.hook_timeout, asked)
        if no is None:
            return
        if no.end_sessions:
            await self._sessions.end(ctx, user_id, "admin")
        raise InvalidCredentials(no.message)

    def _admit(self, caller: Caller, user: UserRow | Candidate, address: str) -> None:
        if user.banned_until is not None and user.banned_until > caller.kit.clock.now():
            raise BannedAtSignIn
        if is_phone(address) and user.phone_confirmed_at is None:
            raise PhoneNotConfirmed
        if not is_phone(address) and user.email_confirmed_at is None:
            raise EmailNotConfirmed

    async def _begin(self, caller: Caller, found: Candidate, rehashed: str, bucket: str, address: str) -> Grant:
        """Write what follows from the right password, unless the account changed while it was checked."""
        async with caller.system(SIGN_IN).begin() as ctx:
            user = await self._users.locked(ctx, found.id)
            if user is None or user.password_hash != found.password_hash or address not in {user.email, user.phone}:
                raise InvalidCredentials
            self._admit(caller, user, address)
            await self._ask(ctx, user.id, valid=True)
            user.password_hash = rehashed
            session, key = await self._sessions.begin(ctx, user, "password")
            identities, factors = await self._users.ways(ctx, user.id)
            await self._failures.forget(ctx, PASSWORD, bucket)
            return await self._tokens.grant(ctx, user, identities, session, key, factors=factors)


def bucket_of(address: str, device: bytes | None) -> str:
    """Name the run of failures of an address: a known device has one of its own, so no guesser locks its owner out."""
    return f"{address}\n{device.hex()}" if device else address
