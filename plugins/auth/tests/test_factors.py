"""Second factors: enrolled once, verified once per step, removed with what they lifted."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyotp
import pytest
from msgspec import UNSET
from sqlalchemy import event, update

from corekit import Caller, Context, Corekit, Plugin, implements
from corekit.contracts.auth import Attempt, Reject, mfa_verification_attempt
from corekit.data import DatabaseSettings
from corekit.errors import InsideContext
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import uuid7
from corekit_auth import AuthPlugin
from corekit_auth.errors import (
    AnonymousHasNoFactors,
    ChallengeExpired,
    FactorDisabled,
    FactorNameConflict,
    FactorNotFound,
    InsufficientAal,
    OverRequestRate,
    PhoneFactorDisabled,
    RefreshTokenAlreadyUsed,
    SessionNotFound,
    StaleSignIn,
    TooManyFactors,
    TotpDisabled,
    UnenrollNeedsAal2,
    ValidationFailed,
    VerificationFailed,
    VerificationRejected,
    WebauthnFactorDisabled,
)
from corekit_auth.factor_kinds import EnrolledObject
from corekit_auth.models import FactorRow, SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.pruning import prune
from corekit_auth.purposes import PRUNE, SIGN_IN
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"


class Person:
    """One sign-in of somebody, and their authenticator app."""

    def __init__(self, service: AuthService, caller: Caller, grant: Grant) -> None:
        self.service = service
        self.grant = grant
        self.caller = replace(caller, actor=service.bearer(grant.session.access_token))

    def code(self, enrolled: EnrolledObject, steps: int = 0) -> str:
        """Read the app, `steps` of 30 seconds from now."""
        now = self.caller.kit.clock.now() + timedelta(seconds=30 * steps)
        return pyotp.TOTP(enrolled.totp.secret).at(now)

    async def enroll(self, name: str = "") -> EnrolledObject:
        return await self.service.factors.enroll(self.caller, "totp", name=name)

    async def challenge(self, factor_id: UUID) -> UUID:
        return (await self.service.factors.challenge(self.caller, factor_id)).id

    async def answer(self, enrolled: EnrolledObject, code: str, challenge: UUID | None = None) -> Grant:
        asked = challenge or await self.challenge(enrolled.id)
        return await self.service.factors.verify(self.caller, enrolled.id, asked, code)

    async def verify(self, enrolled: EnrolledObject) -> "Person":
        """Pass the factor; return the sign-in as it is after that."""
        return Person(self.service, self.caller, await self.answer(enrolled, self.code(enrolled)))

    async def unenroll(self, factor_id: UUID) -> UUID:
        async with self.caller.system(SIGN_IN).begin() as ctx:
            return await self.service.factors.unenroll(ctx, factor_id)


@pytest.fixture
def ann(service: AuthService, caller: Caller, signed_up: Grant) -> Person:
    """Give who has just signed up."""
    return Person(service, caller, signed_up)


async def elsewhere(ann: Person) -> Person:
    """Sign in once more."""
    grant = await ann.service.grant_by_password(ann.caller, ANN, PASSWORD)
    return Person(ann.service, ann.caller, grant)


async def test_from_enrolment_to_aal2(ann: Person, tables: Any, clock: FakeClock) -> None:
    enrolled = await ann.enroll("phone")
    assert len(enrolled.totp.secret) * 5 == 160
    assert enrolled.totp.uri.startswith("otpauth://totp/localhost:ann%40example.org?")
    assert "#" not in enrolled.totp.qr_code
    assert enrolled.totp.qr_code.startswith("<svg ")
    lifted = await ann.answer(enrolled, ann.code(enrolled))
    actor = ann.service.bearer(lifted.session.access_token)
    assert actor.proof is not None
    assert (actor.proof.aal, actor.proof.methods) == (2, ("totp", "password"))
    (factor,) = lifted.session.user.factors or ()
    assert (factor.id, factor.status, factor.friendly_name) == (enrolled.id, "verified", "phone")
    ((aal, counter, floor, stored),) = await tables.read(
        "SELECT aal, counter, counter_floor, factor_id FROM auth_sessions"
    )
    assert (aal, counter, floor) == (2, 2, 2)
    assert stored in {enrolled.id, enrolled.id.bytes}
    assert await tables.told() == [
        "auth.user_created",
        "auth.signed_in",
        "auth.factor_enrolled",
        "auth.factor_verified",
    ]
    clock.move(60)
    refreshed = await ann.service.grant_by_refresh(ann.caller, lifted.session.refresh_token)
    after = ann.service.bearer(refreshed.session.access_token).proof
    assert after is not None
    assert (after.aal, after.methods) == (2, ("totp", "password"))
    assert refreshed.session.user.factors == lifted.session.user.factors


async def test_the_secret_is_sealed_at_rest(ann: Person, tables: Any) -> None:
    """Statement 8. Goes red when the column is plain text."""
    enrolled = await ann.enroll()
    ((stored,),) = await tables.read("SELECT secret FROM auth_factors")
    assert enrolled.totp.secret not in stored
    assert enrolled.totp.secret not in repr(await ann.service.me(ann.caller))


async def test_the_account_names_its_factors_in_one_statement(ann: Person, kit: Corekit) -> None:
    """A join would multiply them by the identities; a second statement would be another round trip."""
    first, second = await ann.enroll("a"), await ann.enroll("b")
    seen: list[str] = []
    engine = kit.database._engines["app", True].sync_engine

    def note(*args: Any) -> None:
        if "auth_" in args[2]:
            seen.append(args[2])

    event.listen(engine, "before_cursor_execute", note)
    async with ann.caller.begin(readonly=True) as ctx:
        account = await ann.service.parts.sessions.live(ctx, ctx.actor)
    event.remove(engine, "before_cursor_execute", note)
    assert len(seen) == 1
    me = await ann.service.me(ann.caller)
    assert me.factors == account.factors
    assert [(factor.id, factor.friendly_name) for factor in me.factors or ()] == [(first.id, "a"), (second.id, "b")]
    assert len(me.identities) == 1
    async with kit.caller().system(SIGN_IN).begin(readonly=True) as ctx:
        assert await ann.service.parts.users.factors(ctx, me.id) == me.factors


async def test_a_number_comes_as_it_was_written(ann: Person, clock: FakeClock) -> None:
    """It is under its person's key, in the list too."""
    factor = FactorRow(
        id=uuid7(),
        user_id=ann.grant.session.user.id,
        type="phone",
        status="verified",
        phone="491701234567",
        failures=0,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    async with ann.caller.system(SIGN_IN).begin() as ctx:
        ctx.session.add(factor)
    (seen,) = (await ann.service.me(ann.caller)).factors or ()
    assert (seen.phone, seen.last_challenged_at, seen.friendly_name) == ("491701234567", None, UNSET)


async def test_steps_beside_the_present_one_pass_and_others_do_not(ann: Person) -> None:
    """Statement 8. Goes red when the window is wider or narrower than one step on each side."""
    enrolled = await ann.enroll()
    for steps in (-2, 2):
        with pytest.raises(VerificationFailed):
            await ann.answer(enrolled, ann.code(enrolled, steps))
    for steps in (-1, 0, 1):
        await ann.answer(enrolled, ann.code(enrolled, steps))


async def test_statement_8_a_step_passes_once_under_any_challenge(ann: Person, clock: FakeClock) -> None:
    """Goes red when neither the check nor the acceptance looks at `last_step`."""
    enrolled = await ann.enroll()
    code = ann.code(enrolled)
    await ann.answer(enrolled, code)
    with pytest.raises(VerificationFailed):
        await ann.answer(enrolled, code)
    other = await elsewhere(ann)
    with pytest.raises(VerificationFailed):
        await other.answer(enrolled, code)
    with pytest.raises(VerificationFailed):
        await other.answer(enrolled, other.code(enrolled, -1))
    clock.move(30)
    await other.verify(enrolled)


async def test_statement_8_of_twenty_uses_of_one_step_one_passes(ann: Person) -> None:
    """Goes red when the acceptance has no condition and what is done to one account is not in turn."""
    enrolled = await ann.enroll()
    code, challenges = ann.code(enrolled), [await ann.challenge(enrolled.id) for _ in range(9)]
    uses = [ann.answer(enrolled, code, challenges[number % 9]) for number in range(20)]
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, Grant)]) == 1
    refused = [answer for answer in answers if not isinstance(answer, Grant)]
    assert all(isinstance(answer, VerificationFailed | ChallengeExpired | OverRequestRate) for answer in refused)


async def test_statement_8_a_challenge_is_answered_once_in_five_minutes_with_five_tries(
    ann: Person, clock: FakeClock
) -> None:
    """Goes red when tries are not counted, a used challenge answers again, or another session's does."""
    enrolled = await ann.enroll()
    challenge = await ann.challenge(enrolled.id)
    for _ in range(5):
        with pytest.raises(VerificationFailed):
            await ann.answer(enrolled, "000000", challenge)
    with pytest.raises(ChallengeExpired):
        await ann.answer(enrolled, ann.code(enrolled), challenge)
    late = await ann.challenge(enrolled.id)
    clock.move(300)
    with pytest.raises(ChallengeExpired):
        await ann.answer(enrolled, ann.code(enrolled), late)
    other = await elsewhere(ann)
    with pytest.raises(ChallengeExpired):
        await other.answer(enrolled, ann.code(enrolled), await ann.challenge(enrolled.id))
    used = await ann.challenge(enrolled.id)
    await ann.answer(enrolled, ann.code(enrolled), used)
    clock.move(30)
    with pytest.raises(ChallengeExpired):
        await ann.answer(enrolled, ann.code(enrolled), used)


async def test_statement_6_wrong_codes_wait_whichever_session_they_come_from(ann: Person, clock: FakeClock) -> None:
    """Goes red when failures are kept per session or challenge, or rolled back with the refusal."""
    enrolled = await ann.enroll()
    for _ in range(10):
        with pytest.raises(VerificationFailed):
            await ann.answer(enrolled, "000000")
    other = await elsewhere(ann)
    with pytest.raises(OverRequestRate) as refused:
        await other.answer(enrolled, other.code(enrolled))
    assert refused.value.extensions["retry_after"] == 30
    clock.move(31)
    await other.answer(enrolled, other.code(enrolled))


async def test_statement_6_a_factor_is_disabled_after_a_hundred_wrong_codes_in_a_row(
    ann: Person, tables: Any, clock: FakeClock
) -> None:
    """Goes red when a right code does not end the run, or the hundredth wrong one disables nothing."""
    enrolled = await ann.enroll()
    await tables.write(update(FactorRow).values(failures=98))
    await ann.verify(enrolled)
    clock.move(30)
    assert await tables.read("SELECT failures FROM auth_factors") == [(0,)]
    await tables.write(update(FactorRow).values(failures=98))
    for left in (1, 0):
        assert (await tables.read("SELECT count(disabled_at) FROM auth_factors")) == [(0,)], left
        with pytest.raises(VerificationFailed):
            await ann.answer(enrolled, "000000")
    with pytest.raises(FactorDisabled):
        await ann.challenge(enrolled.id)


async def test_a_verified_factor_ends_the_other_sessions_at_aal1(ann: Person, tables: Any, clock: FakeClock) -> None:
    other = await elsewhere(ann)
    enrolled = await ann.enroll()
    await ann.verify(enrolled)
    with pytest.raises(SessionNotFound):
        await other.enroll()
    clock.move(30)
    again = await elsewhere(ann)
    await again.verify(enrolled)
    assert await tables.read("SELECT aal FROM auth_sessions") == [(2,), (2,)]
    told = await tables.told()
    assert told.count("auth.session_ended") == 1
    assert told.count("auth.factor_verified") == 1


async def test_a_token_below_the_floor_never_gets_the_current_one(ann: Person, tables: Any, clock: FakeClock) -> None:
    """Goes red when a factor adds one to the counter, or leaves the floor where it was."""
    before = ann.grant.session.refresh_token
    enrolled = await ann.enroll()
    lifted = await ann.answer(enrolled, ann.code(enrolled))
    with pytest.raises(RefreshTokenAlreadyUsed):
        await ann.service.grant_by_refresh(ann.caller, before)
    refreshed = await ann.service.grant_by_refresh(ann.caller, lifted.session.refresh_token)
    lost = await ann.service.grant_by_refresh(ann.caller, lifted.session.refresh_token)
    assert (lost.reuse, lost.counter, refreshed.counter) == ("fail-to-save", 3, 3)
    clock.move(11)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await ann.service.grant_by_refresh(ann.caller, before)
    assert await tables.read("SELECT count(*) FROM auth_sessions") == [(0,)]


async def test_what_does_not_fit_beside_the_others(ann: Person, clock: FakeClock) -> None:
    await ann.enroll("phone")
    with pytest.raises(FactorNameConflict, match="friendly name already exists") as refused:
        await ann.enroll(" phone ")
    assert "phone" not in str(refused.value)  # what somebody wrote is not said again
    for _ in range(9):
        await ann.enroll()
    with pytest.raises(TooManyFactors):
        await ann.enroll()
    clock.move(301)  # what nobody verified makes room
    await ann.enroll("phone")


@pytest.mark.parametrize("settings", [{"totp": False}])
async def test_what_is_off(ann: Person) -> None:
    for kind, problem in (
        ("totp", TotpDisabled),
        ("phone", PhoneFactorDisabled),
        ("webauthn", WebauthnFactorDisabled),
        ("sms", ValidationFailed),
    ):
        with pytest.raises(problem):
            await ann.service.factors.enroll(ann.caller, kind)


async def test_names_that_no_app_shows(ann: Person) -> None:
    for values in ({"name": "x" * 121}, {"name": "a\nb"}, {"issuer": "x" * 65}, {"issuer": "a\0b"}):
        with pytest.raises(ValidationFailed, match=r"friendly_name|issuer"):
            await ann.service.factors.enroll(ann.caller, "totp", **values)
    long = await ann.service.factors.enroll(ann.caller, "totp", name="漢" * 120, issuer="漢" * 64)
    assert long.totp.qr_code.startswith("<svg ")


async def test_an_anonymous_user_has_no_factors(ann: Person, tables: Any) -> None:
    await tables.write(update(UserRow).values(is_anonymous=True))
    with pytest.raises(AnonymousHasNoFactors):
        await ann.enroll()


async def test_statement_11_more_factors_and_fewer_need_aal2_and_a_fresh_proof(ann: Person, clock: FakeClock) -> None:
    """Goes red when enrolling or unenrolling asks for no proof, or an old one will do."""
    enrolled = await ann.enroll()
    strong = await ann.verify(enrolled)
    weak = await elsewhere(ann)
    with pytest.raises(InsufficientAal):
        await weak.enroll()
    with pytest.raises(UnenrollNeedsAal2):
        await weak.unenroll(enrolled.id)
    clock.move(901)
    with pytest.raises(StaleSignIn):
        await strong.enroll()
    with pytest.raises(StaleSignIn):
        await strong.unenroll(enrolled.id)
    await strong.verify(enrolled)
    assert await strong.unenroll(enrolled.id) == enrolled.id


async def test_a_factor_begun_before_is_no_way_around_the_first_verified(ann: Person, clock: FakeClock) -> None:
    """Goes red when unverified factors outlive the first verified one, or verifying one asks for no aal2."""
    thief = await elsewhere(ann)
    planted = await thief.enroll()
    strong = await ann.verify(await ann.enroll())
    again = await elsewhere(ann)
    with pytest.raises(FactorNotFound):
        await again.challenge(planted.id)
    clock.move(30)
    second = await strong.enroll()
    with pytest.raises(InsufficientAal):
        await again.challenge(second.id)
    await strong.verify(second)


async def test_a_removed_factor_takes_back_what_it_lifted(ann: Person, tables: Any, clock: FakeClock) -> None:
    first = await ann.enroll("first")
    await ann.verify(first)
    second = await ann.enroll("second")
    clock.move(30)
    await ann.verify(second)
    other = await elsewhere(ann)
    await other.verify(first)
    assert await ann.unenroll(first.id) == first.id
    rows = await tables.read("SELECT aal, factor_id IS NULL FROM auth_sessions ORDER BY id")
    assert [(aal, bool(gone)) for aal, gone in rows] == [(2, False), (1, True)]
    grant = await ann.service.grant_by_refresh(ann.caller, (await elsewhere(ann)).grant.session.refresh_token)
    assert [factor.id for factor in grant.session.user.factors or ()] == [second.id]
    assert "auth.factor_removed" in await tables.told()


async def test_somebody_elses_factor_is_not_found(ann: Person, caller: Caller) -> None:
    enrolled = await ann.enroll()
    bob = Person(ann.service, caller, await ann.service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {}))
    with pytest.raises(FactorNotFound):
        await bob.challenge(enrolled.id)
    with pytest.raises(FactorNotFound):
        await bob.answer(enrolled, ann.code(enrolled), await ann.challenge(enrolled.id))
    with pytest.raises(FactorNotFound):
        await bob.unenroll(enrolled.id)


async def test_verbs_that_open_their_contexts_refuse_an_open_one(ann: Person) -> None:
    enrolled = await ann.enroll()
    challenge = await ann.challenge(enrolled.id)
    async with ann.caller.begin(readonly=True):
        for verb in (ann.enroll(), ann.challenge(enrolled.id), ann.answer(enrolled, "000000", challenge)):
            with pytest.raises(InsideContext):
                await verb


@pytest.mark.parametrize("settings", [{"admin_roles": ("authenticated",)}])
async def test_statement_14_an_administrator_passes_the_factor_every_twelve_hours(
    ann: Person, clock: FakeClock, tables: Any
) -> None:
    """Goes red when a refresh keeps aal2 of an administrator for ever."""
    strong = await ann.verify(await ann.enroll())
    clock.move(12 * 3600 - 1)
    kept = await ann.service.grant_by_refresh(ann.caller, strong.grant.session.refresh_token)
    clock.move(1)
    dropped = await ann.service.grant_by_refresh(ann.caller, kept.session.refresh_token)
    proofs = [ann.service.bearer(grant.session.access_token).proof for grant in (dropped,)]
    assert [(proof.aal, proof.methods) for proof in proofs if proof] == [(1, ("password",))]
    assert await tables.read("SELECT aal FROM auth_sessions") == [(1,)]


async def test_what_nobody_verified_and_old_challenges_are_pruned(
    ann: Person, kit: Corekit, tables: Any, clock: FakeClock
) -> None:
    kept = await ann.enroll()
    await ann.verify(kept)
    await ann.enroll()
    clock.move(301)
    await ann.challenge(kept.id)
    async with kit.caller().system(PRUNE).begin() as ctx:
        await prune(ctx, ann.service.settings)
    assert await tables.read("SELECT status FROM auth_factors") == [("verified",)]
    assert await tables.read("SELECT count(*) FROM auth_challenges") == [(1,)]


class Watching(Plugin[Settings]):
    """Sees attempts, and refuses what it is told to."""

    name = "watching"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Attempt] = []
        self.no: Reject | None = None

    @implements(mfa_verification_attempt)
    async def watch(self, attempt: Attempt, ctx: Context) -> Reject | None:
        assert ctx.actor.kind == "system"
        self.seen.append(attempt)
        return self.no


@pytest.fixture
async def watched(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> AsyncGenerator[tuple[Watching, Person]]:
    """Start a kit in which a plugin watches the attempts."""
    watching = Watching()
    plugins = [AuthPlugin(), watching]
    tables: dict[str, Any] = {"jobs": {"worker": False}}
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        service = kit.get(AuthService)
        grant = await service.grant_by_sign_up(kit.caller(), ANN, PASSWORD, {})
        yield watching, Person(service, kit.caller(), grant)


async def test_a_hook_sees_each_code_and_may_refuse_it(watched: tuple[Watching, Person]) -> None:
    watching, ann = watched
    enrolled = await ann.enroll()
    with pytest.raises(VerificationFailed):
        await ann.answer(enrolled, "000000")
    watching.no = Reject("Not from here.")
    with pytest.raises(VerificationRejected, match=r"Not from here\."):
        await ann.answer(enrolled, ann.code(enrolled))
    assert [attempt.valid for attempt in watching.seen] == [False, True]
    assert {(attempt.factor_id, attempt.factor_type) for attempt in watching.seen} == {(enrolled.id, "totp")}
    watching.no = Reject("Out.", end_sessions=True)
    with pytest.raises(VerificationRejected):
        await ann.answer(enrolled, ann.code(enrolled))
    with pytest.raises(SessionNotFound):
        await ann.challenge(enrolled.id)
    async with ann.caller.system(SIGN_IN).begin(readonly=True) as ctx:
        assert await ctx.session.get(SessionRow, ann.grant.session_id) is None
        factor = await ctx.session.get(FactorRow, enrolled.id)
    assert factor is not None
    assert (factor.status, factor.failures, factor.last_step) == ("unverified", 1, None)
