"""Codes and links by mail, without HTTP: sign-up, sign-in, recovery."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from corekit import Caller, Corekit
from corekit.testing import FakeClock
from corekit_auth.accounts import Changes
from corekit_auth.errors import (
    Banned,
    CurrentPasswordRequired,
    EmailDisabled,
    EmailNotConfirmed,
    InvalidCredentials,
    OtpDisabled,
    OtpExpired,
    OverEmailRate,
    ReauthenticationNeeded,
    ReauthenticationNotValid,
    ValidationFailed,
)
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant, UserObject
from corekit_auth.one_time import OneTime
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
OTHER = "staple battery horse"
UNCONFIRMED = pytest.mark.parametrize("settings", [{"mailer_autoconfirm": False}])


@pytest.fixture
def one_time(service: AuthService) -> OneTime:
    """Give the noun."""
    return service.one_time


def methods(grant: Grant, service: AuthService) -> list[str]:
    """Name how somebody signed in."""
    proof = service.bearer(grant.session.access_token).proof
    assert proof is not None
    return list(proof.methods)


async def sign_up(service: AuthService, caller: Caller, email: str = ANN, password: str = PASSWORD) -> UserObject:
    """Ask for an account."""
    made = await service.sign_up_with_password(caller, email, password, {"name": "Ann"})
    assert isinstance(made, UserObject)
    return made


@UNCONFIRMED
async def test_a_sign_up_waits_for_its_code(
    service: AuthService, one_time: OneTime, caller: Caller, post: Any, tables: Any
) -> None:
    user = await sign_up(service, caller)
    assert str(user.confirmation_sent_at) != "UNSET"
    assert str(user.email_confirmed_at) == "UNSET"
    with pytest.raises(EmailNotConfirmed):  # only after the right password
        await service.grant_by_password(caller, ANN, PASSWORD)
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, OTHER)
    code = await post.code()
    assert "auth.user_confirmed" not in await tables.told()
    grant = await one_time.verify(caller, "signup", address=" ANN@example.org", token=code)
    assert grant is not None
    assert grant.session.user.id == user.id
    assert grant.session.user.email_confirmed_at == caller.kit.clock.now()
    assert grant.session.user.identities[0].identity_data["email_verified"] is True
    assert methods(grant, service) == ["email/signup"]
    assert (await tables.told()).count("auth.user_confirmed") == 1
    assert (await service.grant_by_password(caller, ANN, PASSWORD)).session.user.id == user.id


@UNCONFIRMED
async def test_statement_5_a_taken_address_signs_up_as_a_free_one(
    service: AuthService, caller: Caller, post: Any, clock: FakeClock, tables: Any
) -> None:
    """Mutation: return early for a known address in `SignUp._unconfirmed`."""
    first = await sign_up(service, caller)
    await service.one_time.verify(caller, "signup", address=ANN, token=await post.code())
    clock.move(60)
    flows = len(await tables.read("SELECT id FROM auth_flow_states"))
    again, free = await sign_up(service, caller), await sign_up(service, caller, "bob@example.org")
    assert len(await tables.read("SELECT id FROM auth_flow_states")) == flows + 2
    left, right = [
        {key for key in user.__struct_fields__ if str(getattr(user, key)) != "UNSET"} for user in (again, free)
    ]
    assert left == right
    assert first.id != again.id
    assert again.identities[0].identity_data.keys() == free.identities[0].identity_data.keys()
    assert again.user_metadata == free.user_metadata
    told, asked = await post.deliver()
    assert (told.to, told.kind, asked.to, asked.kind) == (
        ANN,
        "auth.already_registered",
        "bob@example.org",
        "auth.confirmation",
    )
    assert "verify" not in told.text
    for known in (ANN, "bob@example.org"):
        with pytest.raises(OverEmailRate):
            await sign_up(service, caller, known)


@UNCONFIRMED
async def test_of_two_sign_ups_the_one_whose_code_comes_back_counts(
    service: AuthService, one_time: OneTime, caller: Caller, post: Any, clock: FakeClock, tables: Any
) -> None:
    """Nobody can leave a password of theirs in an account that its owner confirms later."""
    await sign_up(service, caller, password=OTHER)
    stale = await post.code()
    clock.move(60)
    await sign_up(service, caller)
    code = await post.code()
    if stale != code:
        with pytest.raises(OtpExpired):
            await one_time.verify(caller, "signup", address=ANN, token=stale)
    await one_time.verify(caller, "signup", address=ANN, token=code)
    assert await service.grant_by_password(caller, ANN, PASSWORD)
    assert len(await tables.read("SELECT id FROM auth_users")) == 1


@UNCONFIRMED
async def test_a_password_that_nobody_confirmed_does_not_survive_its_owners_code(
    service: AuthService, one_time: OneTime, caller: Caller, post: Any, clock: FakeClock
) -> None:
    await sign_up(service, caller, password=OTHER)
    await post.deliver()
    clock.move(60)
    await one_time.otp(caller, ANN)
    assert await one_time.verify(caller, "email", address=ANN, token=await post.code())
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, OTHER)


async def test_one_signs_in_with_a_code(
    service: AuthService, one_time: OneTime, caller: Caller, signed_up: Grant, post: Any
) -> None:
    await one_time.otp(caller, ANN, create_user=False)
    mail = (await post.deliver())[0]
    assert (mail.to, mail.kind) == (ANN, "auth.magiclink")
    code = mail.text.split("code: ")[1][:6]
    assert code in mail.html
    grant = await one_time.verify(caller, "email", address=ANN, token=code)
    assert grant is not None
    assert grant.session.user.id == signed_up.session.user.id
    assert methods(grant, service) == ["otp"]
    with pytest.raises(OtpExpired):
        await one_time.verify(caller, "email", address=ANN, token=code)


async def test_a_code_makes_an_account_where_that_is_wanted(
    one_time: OneTime, caller: Caller, post: Any, tables: Any, clock: FakeClock
) -> None:
    await one_time.otp(caller, ANN, create_user=False)
    assert await post.deliver() == []
    assert await tables.read("SELECT id FROM auth_flow_states") == []
    clock.move(60)
    await one_time.otp(caller, ANN, data={"name": "Ann"})
    assert await tables.read("SELECT id FROM auth_users") == []  # the job's to make
    grant = await one_time.verify(caller, "email", address=ANN, token=await post.code())
    assert grant is not None
    assert grant.session.user.user_metadata == {"name": "Ann"}
    assert sorted(await tables.told()) == ["auth.signed_in", "auth.user_confirmed", "auth.user_created"]


@pytest.mark.parametrize("verb", ["otp", "otp_known", "magiclink", "recover", "resend"])
async def test_statement_5_known_and_unknown_addresses_are_alike(
    one_time: OneTime, caller: Caller, signed_up: Grant, tables: Any, verb: str
) -> None:
    """Same answer, same rows, same refusals. Mutation: look the address up before counting it."""

    async def ask(email: str) -> None:
        if verb.startswith("otp"):
            await one_time.otp(caller, email, create_user=verb == "otp")
        elif verb == "magiclink":
            await one_time.otp(caller, email, route="magiclink")
        elif verb == "recover":
            await one_time.recover(caller, email)
        else:
            await one_time.resend(caller, "signup", email)

    counted = []
    for email in (ANN, "nobody@example.org"):
        before = [len(await tables.read(sql)) for sql in _ROWS]
        await ask(email)
        after = [len(await tables.read(sql)) for sql in _ROWS]
        counted.append([later - earlier for earlier, later in zip(before, after, strict=True)])
        with pytest.raises(OverEmailRate) as refused:
            await ask(email)
        counted.append([float(refused.value.headers["Retry-After"])])
    assert counted[:2] == counted[2:]
    assert counted[0] == [0, 0, 1, 1]
    rows = await tables.read("SELECT * FROM auth_flow_states ORDER BY created_at")
    assert [[column is None for column in row] for row in rows[:1]] == [[column is None for column in rows[1]]]
    assert signed_up


_ROWS = (
    "SELECT id FROM auth_users",
    "SELECT id FROM auth_one_time_tokens",
    "SELECT id FROM auth_flow_states",
    "SELECT id FROM corekit_outbox",
)


@pytest.mark.parametrize("settings", [{"address_interval_rate": {"count": 1, "period": 1, "burst": 1}}])
async def test_an_address_gets_five_mails_an_hour(one_time: OneTime, caller: Caller, clock: FakeClock) -> None:
    for _ in range(5):
        await one_time.recover(caller, ANN)
        clock.move(1)
    with pytest.raises(OverEmailRate):
        await one_time.recover(caller, ANN)
    clock.move(3600)
    await one_time.recover(caller, ANN)


@pytest.mark.parametrize("settings", [{"mail_rate": {"count": 2, "period": 60, "burst": 2}}])
async def test_all_mail_has_a_limit(one_time: OneTime, caller: Caller) -> None:
    for n in range(2):
        await one_time.recover(caller, f"{n}@example.org")
    with pytest.raises(OverEmailRate):
        await one_time.recover(caller, "2@example.org")


async def test_a_reset_sets_a_password_without_the_old_one(
    service: AuthService, one_time: OneTime, caller: Caller, signed_up: Grant, post: Any, kit: Corekit, clock: FakeClock
) -> None:
    await one_time.recover(caller, ANN)
    code = await post.code()
    with pytest.raises(OtpExpired):
        await one_time.verify(caller, "magiclink", address=ANN, token=code)  # another purpose
    grant = await one_time.verify(caller, "recovery", address=ANN, token=code)
    assert grant is not None
    assert methods(grant, service) == ["recovery"]
    person = kit.caller(service.bearer(grant.session.access_token))
    clock.move(60)
    await one_time.recover(caller, ANN)
    voided = await post.code()
    await service.update_user(person, Changes(password=OTHER))
    assert await service.grant_by_password(caller, ANN, OTHER)
    with pytest.raises(OtpExpired):  # a new password voids every code
        await one_time.verify(caller, "recovery", address=ANN, token=voided)
    with pytest.raises(CurrentPasswordRequired):
        owner = kit.caller(service.bearer((await service.grant_by_password(caller, ANN, OTHER)).session.access_token))
        await service.update_user(owner, Changes(password=PASSWORD))
    clock.move(901)
    grant2 = await service.grant_by_refresh(caller, grant.session.refresh_token)
    with pytest.raises(ReauthenticationNeeded):
        late = kit.caller(service.bearer(grant2.session.access_token))
        await service.update_user(late, Changes(password=PASSWORD))
    assert signed_up


async def test_a_banned_account_gets_no_code_and_no_session(
    one_time: OneTime, caller: Caller, signed_up: Grant, post: Any, clock: FakeClock, tables: Any
) -> None:
    await one_time.otp(caller, ANN)
    code = await post.code()
    until = clock.now().replace(year=clock.now().year + 1)
    await tables.write(update(UserRow).where(UserRow.id == signed_up.session.user.id).values(banned_until=until))
    with pytest.raises(Banned):
        await one_time.verify(caller, "email", address=ANN, token=code)
    clock.move(60)
    await one_time.otp(caller, ANN)
    assert await post.deliver() == []


async def test_a_nonce_stands_for_a_fresh_sign_in(
    service: AuthService, one_time: OneTime, caller: Caller, signed_up: Grant, post: Any, kit: Corekit, clock: FakeClock
) -> None:
    clock.move(1000)
    grant = await service.grant_by_refresh(caller, signed_up.session.refresh_token)
    person = kit.caller(service.bearer(grant.session.access_token), caller.client)
    change = {"password": OTHER, "current_password": PASSWORD}
    with pytest.raises(ReauthenticationNeeded):
        await service.update_user(person, Changes(**change))
    await one_time.reauthenticate(person)
    mail = (await post.deliver())[0]
    assert (mail.to, mail.kind) == (ANN, "auth.reauthentication")
    code = next(line for line in mail.text.splitlines() if line.isdigit())
    assert "verify" not in mail.text
    for wrong in ("000000" if code != "000000" else "000001", ""):
        refusal = ReauthenticationNotValid if wrong else ReauthenticationNeeded
        with pytest.raises(refusal):
            await service.update_user(person, Changes(**change, nonce=wrong or None))
    await service.update_user(person, Changes(**change, nonce=code))
    assert await service.grant_by_password(caller, ANN, OTHER)
    with pytest.raises(ReauthenticationNotValid):  # once
        await service.update_user(person, Changes(email="new@example.org", nonce=code))


@pytest.mark.parametrize("settings", [{"profile": "supabase", "mailer_autoconfirm": True}])
async def test_the_profile_supabase_says_that_nobody_is_there(one_time: OneTime, caller: Caller) -> None:
    with pytest.raises(OtpDisabled):
        await one_time.otp(caller, ANN, create_user=False)


@pytest.mark.parametrize("settings", [{"email": False}])
async def test_mail_can_be_off(service: AuthService, one_time: OneTime, caller: Caller) -> None:
    with pytest.raises(EmailDisabled):
        await one_time.otp(caller, ANN)
    with pytest.raises(EmailDisabled):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    with pytest.raises(EmailDisabled):
        await service.grant_by_password(caller, ANN, PASSWORD)


async def test_what_does_not_fit_names_its_field(one_time: OneTime, caller: Caller, signed_up: Grant) -> None:
    with pytest.raises(ValidationFailed, match="email"):
        await one_time.otp(caller, "ann")
    with pytest.raises(ValidationFailed, match="type"):
        await one_time.verify(caller, "password", address=ANN, token="123456")
    with pytest.raises(ValidationFailed, match="type"):
        await one_time.resend(caller, "recovery", ANN)
    for token in ("x" * 10_000, "１２３４５６", "\x00"):
        with pytest.raises(OtpExpired):
            await one_time.verify(caller, "email", address=ANN, token=token)
    assert signed_up


async def _verify(one_time: OneTime, caller: Caller, code: str) -> Grant | None:
    return await one_time.verify(caller, "email", address=ANN, token=code)


@pytest.mark.parametrize("settings", [{"verify_rate": {"count": 100, "period": 60, "burst": 100}}])
async def test_twenty_parallel_uses_give_one_session(
    one_time: OneTime, caller: Caller, signed_up: Grant, post: Any, tables: Any
) -> None:
    await one_time.otp(caller, ANN)
    code = await post.code()
    answers = await asyncio.gather(*(_verify(one_time, caller, code) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, Grant) for answer in answers) == 1
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 2
    assert isinstance(signed_up.session.user.id, UUID)
