"""Second factors: enrolled, challenged, verified, removed."""

import asyncio
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import Attempt, FactorEnrolled, FactorRemoved, FactorVerified
from corekit.values import uuid7
from corekit_auth import totp
from corekit_auth.answers import Answers
from corekit_auth.errors import (
    AnonymousHasNoFactors,
    AuthProblem,
    ChallengeExpired,
    FactorDisabled,
    FactorNameConflict,
    FactorNotFound,
    PhoneFactorDisabled,
    PhoneFactorUnusable,
    StaleSignIn,
    TooManyFactors,
    TotpDisabled,
    UnenrollNeedsAal2,
    ValidationFailed,
    VerificationFailed,
    WebauthnFactorDisabled,
    WebauthnFactorUnusable,
)
from corekit_auth.models import ChallengeRow, FactorRow, RecoveryCodeRow
from corekit_auth.objects import FactorObject, Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN
from corekit_auth.raising import Raising
from corekit_auth.sessions import Account
from corekit_auth.telling import tell

FACTOR = "factor"  # the bucket of failures
_NAME_MAX = 120
_ISSUER_MAX = 64
_UNVERIFIED = timedelta(minutes=5)
_UNUSABLE: dict[str, type[AuthProblem]] = {"phone": PhoneFactorUnusable, "webauthn": WebauthnFactorUnusable}


class TotpObject(msgspec.Struct, frozen=True):
    """What an authenticator app is set up with, shown once: a picture (SVG), the secret, and the URI of both."""

    qr_code: str
    secret: str
    uri: str


class EnrolledObject(msgspec.Struct, frozen=True, kw_only=True):
    """A factor that was begun."""

    id: UUID
    type: Literal["totp"] = "totp"
    friendly_name: str
    totp: TotpObject


class ChallengeObject(msgspec.Struct, frozen=True, kw_only=True):
    """A question put to a factor; `expires_at` in seconds since 1970."""

    id: UUID
    type: Literal["totp"] = "totp"
    expires_at: int


class Factors:
    """The second factors of people; whatever is done to those of one person goes one after the other."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._failures = parts.failures
        self._freshness = parts.freshness
        self._throttle = parts.throttle
        self._answers = Answers(parts)
        self._raising = Raising(parts.settings, parts.sessions)

    async def enroll(self, caller: Caller, kind: str, *, name: str = "", issuer: str = "") -> EnrolledObject:
        """Begin a factor; it counts once it is verified.

        Raises:
            InsufficientAal, StaleSignIn: the session is too weak or its last proof too old.
            FactorNameConflict, TooManyFactors: it does not fit beside the others.

        """
        caller.demand_free("enroll")
        self._demand_offered(kind)
        name = _label("friendly_name", name, _NAME_MAX)
        issuer = _label("issuer", issuer, _ISSUER_MAX) or urlsplit(self._settings.site_url).hostname or "corekit"
        secret = totp.new_secret()
        async with caller.system(SIGN_IN).begin() as ctx:
            account = await self._answers.account(ctx, caller.actor)
            await self._demand_room(ctx, account, name)
            factor_id = await self._add(ctx, account, name, secret)
        written = totp.uri(
            secret, issuer=issuer, account=account.user.email or account.user.phone or str(caller.actor.id)
        )
        picture = await asyncio.to_thread(totp.qr_code, written)
        return EnrolledObject(id=factor_id, friendly_name=name, totp=TotpObject(picture, secret, written))

    async def challenge(self, caller: Caller, factor_id: UUID) -> ChallengeObject:
        """Put the question to a factor, for this session alone."""
        caller.demand_free("challenge")
        await self._throttle.mfa(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            account, factor = await self._usable(ctx, caller.actor, factor_id)
            now = ctx.now()
            row = ChallengeRow(
                id=uuid7(),
                factor_id=factor.id,
                session_id=account.session.id,
                tries=0,
                expires_at=now + timedelta(seconds=self._settings.challenge_ttl),
                created_at=now,
                updated_at=now,
            )
            ctx.session.add(row)
            factor.last_challenged_at = factor.updated_at = now
        return ChallengeObject(id=row.id, expires_at=int(row.expires_at.timestamp()))

    async def verify(self, caller: Caller, factor_id: UUID, challenge_id: UUID, code: str) -> Grant:
        """Answer a challenge: the session is at aal2 from then on, and the person's others at aal1 end.

        Raises:
            ChallengeExpired: it is not one of this session and factor, or answered, too old, or out of tries.
            VerificationFailed: the code is wrong or was used before; it counts.
            VerificationRejected: a hook said no.

        """
        caller.demand_free("verify")
        await self._throttle.mfa(caller)
        async with self._answers.context(caller) as ctx:
            account, factor = await self._usable(ctx, caller.actor, factor_id)
            await self._failures.charge(ctx, FACTOR, factor.id.hex)
            await self._use_up(ctx, account, factor, challenge_id)
            step = await self._check(ctx, factor, code)
            await self._accept(ctx, factor, step, challenge_id)
            await self._failures.forget(ctx, FACTOR, factor.id.hex)
            lifted = await self._raising.lift(ctx, account, "totp", factor.id)
            return await self._answers.grant(ctx, lifted)

    async def unenroll(self, ctx: Context, factor_id: UUID) -> UUID:
        """Remove a factor; sessions that it had lifted are at aal1 again. With the last go the recovery codes.

        Raises:
            UnenrollNeedsAal2, StaleSignIn: it is verified, and the session too weak or its last proof too old.

        """
        account, factor = await self._mine(ctx, ctx.on_behalf_of or ctx.actor, factor_id)
        if factor.status == "verified":
            if account.session.aal == 1:
                raise UnenrollNeedsAal2
            if not self._freshness.fresh(ctx, account):
                raise StaleSignIn
            await self._raising.drop(ctx, account.user.id, factor.id)
            if not any(other.status == "verified" for other in account.factors if other.id != factor.id):
                codes = delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == account.user.id)
                await ctx.session.execute(codes)
        await tell(ctx, FactorRemoved(user_id=account.user.id, factor_id=factor.id, factor_type=factor.type))
        await ctx.session.delete(factor)
        return factor.id

    def _demand_offered(self, kind: str) -> None:
        if kind == "totp" and not self._settings.totp:
            raise TotpDisabled
        if kind == "phone":
            raise PhoneFactorDisabled
        if kind == "webauthn":
            raise WebauthnFactorDisabled
        if kind != "totp":
            raise ValidationFailed("factor_type: must be totp, phone or webauthn")

    async def _demand_room(self, ctx: Context, account: Account, name: str) -> None:
        if account.user.is_anonymous:
            raise AnonymousHasNoFactors
        await self._freshness.demand(ctx, account)
        await ctx.session.execute(delete(FactorRow).where(FactorRow.user_id == account.user.id, abandoned(ctx)))
        left = [factor for factor in account.factors if not _abandoned(factor, ctx)]
        if len(left) >= self._settings.max_factors:
            raise TooManyFactors
        if name and any(factor.friendly_name == name for factor in left):
            raise FactorNameConflict(f'A factor with the friendly name "{name}" for this user already exists')

    async def _add(self, ctx: Context, account: Account, name: str, secret: str) -> UUID:
        factor = FactorRow(
            id=uuid7(),
            user_id=account.user.id,
            type="totp",
            status="unverified",
            friendly_name=name or None,
            secret=secret,
            failures=0,
            created_at=ctx.now(),
            updated_at=ctx.now(),
        )
        ctx.session.add(factor)
        await tell(ctx, FactorEnrolled(user_id=account.user.id, factor_id=factor.id, factor_type="totp"))
        return factor.id

    async def _mine(self, ctx: Context, person: Actor, factor_id: UUID) -> tuple[Account, FactorRow]:
        account = await self._answers.account(ctx, person)
        mine = select(FactorRow).where(FactorRow.id == factor_id, FactorRow.user_id == account.user.id)
        factor = await ctx.session.scalar(mine)
        if factor is None:
            raise FactorNotFound
        return account, factor

    async def _usable(self, ctx: Context, person: Actor, factor_id: UUID) -> tuple[Account, FactorRow]:
        account, factor = await self._mine(ctx, person, factor_id)
        if factor.type in _UNUSABLE:
            raise _UNUSABLE[factor.type]
        if factor.disabled_at is not None:
            raise FactorDisabled
        if factor.status == "unverified":  # a new one takes nobody past those that are there
            self._freshness.demand_strong(account)
        return account, factor

    async def _use_up(self, ctx: Context, account: Account, factor: FactorRow, challenge_id: UUID) -> None:
        """Take one of the tries of a challenge."""
        taken = (
            update(ChallengeRow)
            .where(
                ChallengeRow.id == challenge_id,
                ChallengeRow.factor_id == factor.id,
                ChallengeRow.session_id == account.session.id,
                ChallengeRow.used_at.is_(None),
                ChallengeRow.expires_at > ctx.now(),
                ChallengeRow.tries < self._settings.otp_tries,
            )
            .values(tries=ChallengeRow.tries + 1, updated_at=ctx.now())
            .returning(ChallengeRow.id)
        )
        if await ctx.session.scalar(taken, execution_options={"synchronize_session": False}) is None:
            raise ChallengeExpired

    async def _check(self, ctx: Context, factor: FactorRow, code: str) -> int:
        """Return the step whose code this is; a wrong one counts, and too many in a row disable the factor."""
        step = totp.matching_step(factor.secret or "", code, ctx.now())
        fresh = step is not None and (factor.last_step is None or factor.last_step < step)
        if not fresh:
            factor.failures += 1
            if factor.failures >= self._settings.factor_failures_max:
                factor.disabled_at = ctx.now()
            await ctx.session.flush()
        attempt = Attempt(user_id=factor.user_id, valid=fresh, factor_id=factor.id, factor_type=factor.type)
        await self._answers.judge(ctx, attempt)
        if step is None or not fresh:
            raise VerificationFailed("Invalid TOTP code entered")
        return step

    async def _accept(self, ctx: Context, factor: FactorRow, step: int, challenge_id: UUID) -> None:
        """Take a step once, whichever session and challenge it answers."""
        now, first = ctx.now(), factor.status == "unverified"
        taken = (
            update(FactorRow)
            .where(FactorRow.id == factor.id, or_(FactorRow.last_step.is_(None), FactorRow.last_step < step))
            .values(last_step=step, failures=0, status="verified", updated_at=now)
            .returning(FactorRow.id)
        )
        unsynced = {"synchronize_session": False}
        if await ctx.session.scalar(taken, execution_options=unsynced) is None:
            raise VerificationFailed("Invalid TOTP code entered")
        answered = update(ChallengeRow).where(ChallengeRow.id == challenge_id).values(used_at=now, updated_at=now)
        await ctx.session.execute(answered, execution_options=unsynced)
        if first:
            # What somebody else began while there was no factor must not become a way around this one.
            begun = and_(FactorRow.user_id == factor.user_id, FactorRow.status == "unverified")
            await ctx.session.execute(delete(FactorRow).where(begun), execution_options=unsynced)
            await tell(ctx, FactorVerified(user_id=factor.user_id, factor_id=factor.id, factor_type=factor.type))


def abandoned(ctx: Context) -> ColumnElement[bool]:
    """Select the factors that nobody verified in time."""
    return and_(FactorRow.status == "unverified", FactorRow.created_at < ctx.now() - _UNVERIFIED)


def _abandoned(factor: FactorObject, ctx: Context) -> bool:
    return factor.status == "unverified" and factor.created_at < ctx.now() - _UNVERIFIED


def _label(field: str, text: str, most: int) -> str:
    """Check what an authenticator app or a list shows."""
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise ValidationFailed(f"{field}: at most {most} characters, none of them a control character")
    return text
