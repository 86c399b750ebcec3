"""Passkeys: registered by who is signed in, and enough to sign in without a name or a password."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import PasskeyAdded, PasskeyRemoved
from corekit.values import uuid7
from corekit.watch.logs import get_logger
from corekit_auth.errors import (
    AnonymousHasNoPasskeys,
    BannedAtSignIn,
    CredentialExists,
    EmailNotConfirmed,
    PasskeyNotFound,
    PasskeyNotVerified,
    TooManyPasskeys,
    ValidationFailed,
)
from corekit_auth.models import PasskeyRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.passkey_challenges import PasskeyChallenges, Put
from corekit_auth.purposes import SIGN_IN
from corekit_auth.relying_party import Asserted, NotProven, Registered, RelyingParty, credential_id, user_of
from corekit_auth.sessions import Account
from corekit_auth.telling import tell

Credential = Mapping[str, Any]
_NAME_MAX = 120


class CeremonyObject(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser is to ask its authenticator; `expires_at` is in seconds since 1970."""

    challenge_id: UUID
    options: dict[str, Any]
    expires_at: int


class PasskeyObject(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey, as its owner sees it."""

    id: UUID
    friendly_name: str | UnsetType = UNSET
    created_at: datetime
    last_used_at: datetime | UnsetType = UNSET


class Passkeys:
    """Registers passkeys, signs in with them, and lets their owners look after them."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._challenges = PasskeyChallenges(parts.settings.challenge_ttl)
        self._freshness = parts.freshness
        self._party = RelyingParty(parts.settings, parts.kit.env)
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    async def begin_registration(self, caller: Caller) -> CeremonyObject:
        """Ask for a new passkey of who is signed in.

        Raises:
            InsufficientAal, StaleSignIn: the session is too weak or its last proof too old.
            TooManyPasskeys: one has to go first.

        """
        caller.demand_free("begin_registration")
        await self._throttle.passkey(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            account = await self._may_add(ctx, caller.actor)
            mine = select(PasskeyRow.credential_id).where(PasskeyRow.user_id == account.user.id)
            known = list(await ctx.session.scalars(mine))
            if len(known) >= self._settings.max_passkeys:
                raise TooManyPasskeys
            put = self._challenges.put(ctx, "registration", account.user.id)
        options = self._party.creation(put.challenge, account.user.id, _label(account.user), known)
        return _ceremony(put, options)

    async def register(self, caller: Caller, challenge_id: UUID, credential: Credential) -> PasskeyObject:
        """Take the answer to `begin_registration`; the challenge is spent whatever comes of it.

        Raises:
            PasskeyChallengeNotFound, PasskeyChallengeExpired: it is not theirs, answered before, or too old.
            PasskeyNotVerified: the answer does not hold.
            CredentialExists, TooManyPasskeys: it does not fit beside what is there.

        """
        caller.demand_free("register")
        await self._throttle.passkey(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            account = await self._may_add(ctx, caller.actor)
            asked = await self._challenges.spend(ctx, "registration", challenge_id, account.user.id)
        try:
            made = self._party.registered(credential, asked.open(caller.kit.clock.now()))
        except NotProven as error:
            raise _refused(error) from None
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                await self._users.locked(ctx, account.user.id)
                account = await self._may_add(ctx, caller.actor)
                return _object(await self._add(ctx, account, made))
        except IntegrityError:
            raise CredentialExists from None  # somebody else was quicker

    async def begin_sign_in(self, caller: Caller) -> CeremonyObject:
        """Ask for whichever passkey a device has; nobody is named, so nothing is told of anybody."""
        caller.demand_free("begin_sign_in")
        await self._throttle.passkey(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            put = self._challenges.put(ctx, "authentication", None)
        return _ceremony(put, self._party.request(put.challenge))

    async def sign_in(self, caller: Caller, challenge_id: UUID, credential: Credential) -> Grant:
        """Begin a session with a passkey; the challenge is spent whatever comes of it.

        Raises:
            PasskeyChallengeNotFound, PasskeyChallengeExpired: it was answered before, or too late.
            PasskeyNotVerified: the answer does not hold, or the credential is unknown.
            BannedAtSignIn, EmailNotConfirmed: it holds, and its owner may not sign in.

        """
        caller.demand_free("sign_in_with_passkey")
        await self._throttle.passkey(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            asked = await self._challenges.spend(ctx, "authentication", challenge_id, None)
            found = await self._find(ctx, credential)
        challenge = asked.open(caller.kit.clock.now())
        try:
            if found is None or user_of(credential) != found.user_id:
                raise NotProven("unknown")
            proven = self._party.asserted(credential, challenge, found.public_key)
        except NotProven as error:
            raise _refused(error) from None
        async with caller.system(SIGN_IN).begin() as ctx:
            return await self._begin(ctx, found, proven)

    async def mine(self, ctx: Context) -> list[PasskeyObject]:
        """List the passkeys of who asks, oldest first."""
        account = await self._sessions.live(ctx, ctx.actor)
        mine = select(PasskeyRow).where(PasskeyRow.user_id == account.user.id)
        return [_object(row) for row in await ctx.session.scalars(mine.order_by(PasskeyRow.created_at, PasskeyRow.id))]

    async def rename(self, ctx: Context, passkey_id: UUID, name: str) -> PasskeyObject:
        """Give a passkey another name.

        Raises:
            PasskeyNotFound: it is not theirs.

        """
        _, row = await self._own(ctx, passkey_id)
        name = name.strip()
        if not 0 < len(name) <= _NAME_MAX or not name.isprintable():
            raise ValidationFailed(f"friendly_name: 1 to {_NAME_MAX} characters, none of them a control character")
        row.friendly_name, row.updated_at = name, ctx.now()
        return _object(row)

    async def remove(self, ctx: Context, passkey_id: UUID) -> None:
        """Take a passkey away: it signs nobody in any more. Sessions that it began go on.

        Raises:
            PasskeyNotFound: it is not theirs.
            InsufficientAal, StaleSignIn: the session is too weak or its last proof too old.

        """
        account, row = await self._own(ctx, passkey_id)
        await self._freshness.demand(ctx, account)
        await ctx.session.delete(row)
        await tell(ctx, PasskeyRemoved(user_id=account.user.id, passkey_id=row.id))

    async def _may_add(self, ctx: Context, person: Actor) -> Account:
        account = await self._sessions.live(ctx, person)
        if account.user.is_anonymous:
            raise AnonymousHasNoPasskeys
        await self._freshness.demand(ctx, account)
        return account

    async def _own(self, ctx: Context, passkey_id: UUID) -> tuple[Account, PasskeyRow]:
        account = await self._sessions.live(ctx, ctx.on_behalf_of or ctx.actor)
        mine = select(PasskeyRow).where(PasskeyRow.id == passkey_id, PasskeyRow.user_id == account.user.id)
        row = await ctx.session.scalar(mine)
        if row is None:
            raise PasskeyNotFound
        return account, row

    async def _find(self, ctx: Context, credential: Credential) -> PasskeyRow | None:
        try:
            wanted = credential_id(credential)
        except NotProven:
            return None
        found: PasskeyRow | None = await ctx.session.scalar(
            select(PasskeyRow).where(PasskeyRow.credential_id == wanted)
        )
        return found

    async def _add(self, ctx: Context, account: Account, made: Registered) -> PasskeyRow:
        count = select(func.count()).where(PasskeyRow.user_id == account.user.id)
        if (await ctx.session.scalar(count) or 0) >= self._settings.max_passkeys:
            raise TooManyPasskeys
        if await ctx.session.scalar(select(PasskeyRow.id).where(PasskeyRow.credential_id == made.credential_id)):
            raise CredentialExists
        row = PasskeyRow(
            id=uuid7(),
            user_id=account.user.id,
            created_at=ctx.now(),
            updated_at=ctx.now(),
            **msgspec.structs.asdict(made),
        )
        ctx.session.add(row)
        await ctx.session.flush()
        await tell(ctx, PasskeyAdded(user_id=account.user.id, passkey_id=row.id))
        return row

    async def _begin(self, ctx: Context, passkey: PasskeyRow, proven: Asserted) -> Grant:
        """Write what follows from a good answer, unless the account or the passkey has gone meanwhile."""
        user = await self._users.locked(ctx, passkey.user_id)
        if user is None:
            raise _refused(NotProven("unknown"))
        if user.banned_until is not None and user.banned_until > ctx.now():
            raise BannedAtSignIn
        if user.email_confirmed_at is None and user.phone_confirmed_at is None:
            raise EmailNotConfirmed
        await self._count(ctx, passkey, proven)
        session, key = await self._sessions.begin(ctx, user, "passkey", aal=self._settings.passkey_aal)
        identities, factors = await self._users.ways(ctx, user.id)
        return await self._tokens.grant(ctx, user, identities, session, key, factors=factors)

    async def _count(self, ctx: Context, passkey: PasskeyRow, proven: Asserted) -> None:
        """Accept a counter that has risen, or is not kept at all; one that fell back may be a copy's (L3 §6.1.1)."""
        new = proven.sign_count
        counted = (
            update(PasskeyRow)
            .where(PasskeyRow.id == passkey.id, PasskeyRow.sign_count < new if new else PasskeyRow.sign_count == 0)
            .values(sign_count=new, backed_up=proven.backed_up, last_used_at=ctx.now(), updated_at=ctx.now())
            .returning(PasskeyRow.id)
            .execution_options(synchronize_session=False)
        )
        if await ctx.session.scalar(counted) is None:
            still = await ctx.session.scalar(select(PasskeyRow.id).where(PasskeyRow.id == passkey.id))
            raise _refused(NotProven("counter" if still else "unknown"))


def _refused(error: NotProven) -> PasskeyNotVerified:
    """Tell the log why, and who asked nothing; a counter that fell back is worth a look."""
    log = get_logger("corekit.auth")
    if error.reason == "counter":
        log.warning("passkey_counter_fell", reason="its counter did not rise: the passkey may have been copied")
    else:
        log.info("passkey_refused", reason=error.reason)
    return PasskeyNotVerified()


def _label(user: UserRow) -> str:
    """Return what a device shows beside the passkey."""
    return user.email or user.phone or str(user.id)


def _ceremony(put: Put, options: dict[str, Any]) -> CeremonyObject:
    return CeremonyObject(challenge_id=put.id, options=options, expires_at=int(put.expires_at.timestamp()))


def _object(row: PasskeyRow) -> PasskeyObject:
    return PasskeyObject(
        id=row.id,
        friendly_name=row.friendly_name or UNSET,
        created_at=row.created_at,
        last_used_at=row.last_used_at or UNSET,
    )
