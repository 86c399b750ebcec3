"""Second factors: enrolled, challenged, verified, removed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import Attempt, FactorEnrolled, FactorRemoved, FactorVerified
from corekit.values import uuid7
from corekit_auth.answers import Answers
from corekit_auth.errors import (
    AnonymousHasNoFactors,
    ChallengeExpired,
    FactorDisabled,
    FactorNameConflict,
    FactorNotFound,
    StaleSignIn,
    TooManyFactors,
    UnenrollNeedsAal2,
    ValidationFailed,
    VerificationFailed,
)
from corekit_auth.factor_kinds import (
    Answer,
    ChallengeObject,
    EnrolledObject,
    Enrolment,
    Kind,
    Phone,
    Question,
    Totp,
    Wish,
)
from corekit_auth.factor_webauthn import Webauthn
from corekit_auth.models import ChallengeRow, FactorRow, RecoveryCodeRow
from corekit_auth.models.factors import FactorType
from corekit_auth.objects import FactorObject, Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN
from corekit_auth.raising import Raising
from corekit_auth.sessions import Account
from corekit_auth.telling import tell

FACTOR = "factor"  # the bucket of failures
_NAME_MAX, _ISSUER_MAX = 120, 64
_UNVERIFIED = timedelta(minutes=5)


class Factors:
    """The second factors of people; whatever is done to those of one person goes one after the other."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._failures = parts.failures
        self._freshness = parts.freshness
        self._throttle = parts.throttle
        self._answers = Answers(parts)
        self._kinds: Mapping[FactorType, Kind] = {
            "totp": Totp(parts),
            "phone": Phone(parts),
            "webauthn": Webauthn(parts),
        }
        self._raising = Raising(parts.settings, parts.sessions)

    async def enroll(
        self, caller: Caller, kind: str, *, name: str = "", issuer: str = "", phone: str = ""
    ) -> EnrolledObject:
        """Begin a factor; it counts once it is verified.

        Raises:
            InsufficientAal, StaleSignIn: the session is too weak or its last proof too old.
            FactorNameConflict, TooManyFactors, VerifiedFactorExists: it does not fit beside the others.

        """
        caller.demand_free("enroll")
        type_ = next((known for known in self._kinds if known == kind), None)
        if type_ is None:
            raise ValidationFailed("factor_type: must be totp, phone or webauthn")
        special = self._kinds[type_]
        special.demand_offered()
        name = _label("friendly_name", name, _NAME_MAX)
        issuer = _label("issuer", issuer, _ISSUER_MAX) or urlsplit(self._settings.site_url).hostname or "corekit"
        wish = Wish(name=name, issuer=issuer, phone=phone)
        columns = special.begin(wish)
        async with caller.system(SIGN_IN).begin() as ctx:
            account = await self._answers.account(ctx, caller.actor)
            await self._demand_room(ctx, account, name)
            special.fit(Enrolment(account, wish, columns))
            factor_id = await self._add(ctx, account, type_, name, columns)
        shown = await special.shown(Enrolment(account, wish, columns))
        return EnrolledObject(id=factor_id, type=type_, friendly_name=name, **shown)

    async def challenge(self, caller: Caller, factor_id: UUID) -> ChallengeObject:
        """Put the question to a factor, for this session alone; to a phone it goes by SMS.

        Raises:
            OverSmsRate, SmsSendFailed: no SMS can be sent now.

        """
        caller.demand_free("challenge")
        await self._throttle.mfa(caller)
        await self._charge(caller, factor_id)
        async with caller.system(SIGN_IN).begin() as ctx:
            account, factor = await self._usable(ctx, caller.actor, factor_id)
            special, now = self._kinds[factor.type], ctx.now()
            row = ChallengeRow(
                id=uuid7(),
                factor_id=factor.id,
                session_id=account.session.id,
                tries=0,
                expires_at=now + timedelta(seconds=special.ttl()),
                created_at=now,
                updated_at=now,
            )
            asked = await special.ask(Question(ctx, account, factor, row))
            ctx.session.add(row)
            factor.last_challenged_at = factor.updated_at = now
            expires_at = int(row.expires_at.timestamp())
        return ChallengeObject(id=row.id, type=factor.type, expires_at=expires_at, webauthn=asked)

    async def _charge(self, caller: Caller, factor_id: UUID) -> None:
        """Count what the challenge costs, before anything is held; whose session lives is asked after."""
        async with caller.system(SIGN_IN).begin(readonly=True) as ctx:
            mine = select(FactorRow).where(FactorRow.id == factor_id, FactorRow.user_id == caller.actor.id)
            factor = await ctx.session.scalar(mine)
            phone = factor.phone if factor is not None else None
        if phone:
            self._kinds["phone"].demand_usable()
            await self._kinds["phone"].charge(caller, phone)

    async def verify(self, caller: Caller, factor_id: UUID, challenge_id: UUID, answer: Answer | str) -> Grant:
        """Answer a challenge: the session is at aal2 from then on, and the person's others at aal1 end.

        Raises:
            ChallengeExpired: it is not one of this session and factor, or answered, too old, or out of tries.
            VerificationFailed: the answer is wrong or was used before; it counts.
            VerificationRejected: a hook said no.

        """
        caller.demand_free("verify")
        await self._throttle.mfa(caller)
        answer = Answer(code=answer) if isinstance(answer, str) else answer
        async with self._answers.context(caller) as ctx:
            account, factor = await self._usable(ctx, caller.actor, factor_id)
            await self._failures.charge(ctx, FACTOR, factor.id.hex)
            challenge = await self._use_up(ctx, account, factor, challenge_id)
            changed = await self._check(Question(ctx, account, factor, challenge), answer)
            await self._accept(ctx, factor, changed, challenge_id)
            await self._failures.forget(ctx, FACTOR, factor.id.hex)
            lifted = await self._raising.lift(ctx, account, self._kinds[factor.type].method, factor.id)
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

    async def _demand_room(self, ctx: Context, account: Account, name: str) -> None:
        if account.user.is_anonymous:
            raise AnonymousHasNoFactors
        await self._freshness.demand(ctx, account)
        await ctx.session.execute(delete(FactorRow).where(FactorRow.user_id == account.user.id, abandoned(ctx)))
        left = [factor for factor in account.factors if not _abandoned(factor, ctx)]
        if len(left) >= self._settings.max_factors:
            raise TooManyFactors
        if name and any(factor.friendly_name == name for factor in left):
            raise FactorNameConflict

    async def _add(
        self, ctx: Context, account: Account, type_: FactorType, name: str, columns: Mapping[str, Any]
    ) -> UUID:
        factor = FactorRow(
            id=uuid7(),
            user_id=account.user.id,
            type=type_,
            status="unverified",
            friendly_name=name or None,
            failures=0,
            created_at=ctx.now(),
            updated_at=ctx.now(),
            **columns,
        )
        ctx.session.add(factor)
        await tell(ctx, FactorEnrolled(user_id=account.user.id, factor_id=factor.id, factor_type=type_))
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
        self._kinds[factor.type].demand_usable()
        if factor.disabled_at is not None:
            raise FactorDisabled
        if factor.status == "unverified":  # a new one takes nobody past those that are there
            self._freshness.demand_strong(account)
        return account, factor

    async def _use_up(self, ctx: Context, account: Account, factor: FactorRow, challenge_id: UUID) -> ChallengeRow:
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
        mine = select(ChallengeRow).where(ChallengeRow.id == challenge_id)
        found: ChallengeRow = (await ctx.session.scalars(mine)).one()
        return found

    async def _check(self, question: Question, answer: Answer) -> dict[str, Any]:
        """Return what a right answer changes; a wrong one counts, and too many in a row disable the factor."""
        ctx, factor = question.ctx, question.factor
        special = self._kinds[factor.type]
        changed = await special.held(question, answer)
        valid = changed is not None
        if not valid:
            factor.failures += 1
            if factor.failures >= self._settings.factor_failures_max:
                factor.disabled_at = ctx.now()
            await ctx.session.flush()
        attempt = Attempt(user_id=factor.user_id, valid=valid, factor_id=factor.id, factor_type=factor.type)
        await self._answers.judge(ctx, attempt)
        if changed is None:
            raise VerificationFailed(special.wrong)
        return changed

    async def _accept(self, ctx: Context, factor: FactorRow, changed: Mapping[str, Any], challenge_id: UUID) -> None:
        """Take an answer once: a step of TOTP whichever session and challenge it answers, a challenge anyway."""
        now, first, unsynced = ctx.now(), factor.status == "unverified", {"synchronize_session": False}
        taken = update(FactorRow).where(FactorRow.id == factor.id)
        if "last_step" in changed:
            taken = taken.where(or_(FactorRow.last_step.is_(None), FactorRow.last_step < changed["last_step"]))
        taken = taken.values(**changed, failures=0, status="verified", updated_at=now).returning(FactorRow.id)
        answered = (
            update(ChallengeRow)
            .where(ChallengeRow.id == challenge_id, ChallengeRow.used_at.is_(None))
            .values(used_at=now, updated_at=now)
            .returning(ChallengeRow.id)
        )
        for once in (taken, answered):
            if await ctx.session.scalar(once, execution_options=unsynced) is None:
                raise VerificationFailed(self._kinds[factor.type].wrong)
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
