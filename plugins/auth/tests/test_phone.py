"""What a phone number does: sign-up, sign-in by SMS and by password, another number, codes for a fresh sign-in."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from corekit import Caller, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import OutgoingSms, send_sms
from corekit.contracts.delivery import Retry
from corekit.data import Base, DatabaseSettings
from corekit.jobs import Retry as Again
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.accounts import Changes
from corekit_auth.errors import (
    InvalidCredentials,
    OtpDisabled,
    OtpExpired,
    PhoneDisabled,
    PhoneExists,
    PhoneNotConfirmed,
    ReauthenticationNeeded,
    SmsSendFailed,
)
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN, BEN = "4915112345678", "4915187654321"
PASSWORD = "correct horse battery"
ON = {"phone": True, "phone_autoconfirm": False, "mailer_autoconfirm": False}
EASY = {"count": 100, "period": 1, "burst": 100}
SLOW = ON | {"address_interval_rate": EASY, "address_hourly_rate": EASY}


@pytest.fixture
def settings() -> dict[str, Any]:
    """Switch phones on; limits do not make the tests wait."""
    return dict(SLOW)


async def by_sms(service: AuthService, caller: Caller, post: Any, phone: str = ANN) -> Grant:
    """Sign in, or up, with a code."""
    await service.one_time.otp(caller, phone)
    grant = await service.one_time.verify(caller, "sms", address=phone, token=await post.text())
    assert grant is not None
    return grant


def as_person(service: AuthService, caller: Caller, grant: Grant) -> Caller:
    return replace(caller, actor=service.bearer(grant.session.access_token))


async def test_a_code_signs_up_and_in(service: AuthService, caller: Caller, post: Any) -> None:
    grant = await by_sms(service, caller, post, f"+49 151 {ANN[5:]}")
    user = grant.session.user
    assert (user.phone, user.email, user.is_anonymous) == (ANN, "", False)
    assert user.phone_confirmed_at
    assert user.app_metadata == {"provider": "phone", "providers": ["phone"]}
    (identity,) = user.identities
    assert (identity.provider, identity.identity_data["phone"], identity.identity_data["phone_verified"]) == (
        "phone", ANN, True
    )  # fmt: skip
    actor = service.bearer(grant.session.access_token)
    assert actor.proof is not None
    assert actor.proof.methods == ("otp",)
    (sms,) = post.phones.texts
    assert sms.to == ANN
    assert sms.kind == "auth.sms"
    code = sms.text.split()[0]
    assert sms.text.endswith(f"\n@localhost #{code}")  # which lets the phone fill it in
    again = await by_sms(service, caller, post)
    assert again.session.user.id == user.id


async def test_nobody_new_where_that_is_not_wanted(service: AuthService, caller: Caller, post: Any) -> None:
    """Statement 5: known and unknown numbers get the same answer; nothing is sent to the unknown one."""
    known = await by_sms(service, caller, post)
    assert known
    for phone in (ANN, BEN):
        assert await service.one_time.otp(caller, phone, create_user=False)
    await post.deliver()
    assert [sms.to for sms in post.phones.texts] == [ANN, ANN]


@pytest.mark.parametrize("settings", [SLOW | {"profile": "supabase"}])
async def test_the_other_profile_says_that_nobody_is_there(service: AuthService, caller: Caller) -> None:
    with pytest.raises(OtpDisabled):
        await service.one_time.otp(caller, BEN, create_user=False)


async def test_a_code_is_good_once_for_one_number_and_five_minutes(
    service: AuthService, caller: Caller, post: Any, clock: FakeClock
) -> None:
    await service.one_time.otp(caller, ANN)
    code = await post.text()
    with pytest.raises(OtpExpired):
        await service.one_time.verify(caller, "sms", address=BEN, token=code)
    with pytest.raises(OtpExpired):
        await service.one_time.verify(caller, "email", address=ANN, token=code)
    clock.move(301)
    with pytest.raises(OtpExpired):
        await service.one_time.verify(caller, "sms", address=ANN, token=code)
    await by_sms(service, caller, post)


async def test_a_sign_up_with_a_password_waits_for_its_code(service: AuthService, caller: Caller, post: Any) -> None:
    user = await service.sign_up_with_password(caller, ANN, PASSWORD, {"name": "Ann"})
    assert not isinstance(user, Grant)
    assert (user.phone, user.phone_confirmed_at) == (ANN, user.banned_until)  # both unset
    with pytest.raises(PhoneNotConfirmed):
        await service.grant_by_password(caller, ANN, PASSWORD)
    grant = await service.one_time.verify(caller, "sms", address=ANN, token=await post.text())
    assert grant is not None
    again = await service.grant_by_password(caller, f"+{ANN}", PASSWORD)
    assert again.session.user.id == grant.session.user.id == user.id
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, "wrong horse battery")


async def test_a_password_set_by_who_never_had_the_phone_opens_nothing(
    service: AuthService, caller: Caller, post: Any
) -> None:
    """Red where `_first` keeps the password: its setter would share the account with the number's owner."""
    await service.sign_up_with_password(caller, ANN, "mallory horse battery", {})
    await post.text()
    await by_sms(service, caller, post)
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, "mallory horse battery")


async def test_a_taken_number_signs_up_like_a_free_one(service: AuthService, caller: Caller, post: Any) -> None:
    await by_sms(service, caller, post)
    answers = [await service.sign_up_with_password(caller, phone, PASSWORD, {}) for phone in (ANN, BEN)]
    assert {type(answer) for answer in answers} == {type(answers[0])}
    assert await post.deliver() == []
    assert [sms.to for sms in post.phones.texts] == [ANN, BEN]
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, PASSWORD)


@pytest.mark.parametrize("settings", [SLOW | {"phone_autoconfirm": True}])
async def test_numbers_may_be_trusted(service: AuthService, caller: Caller, post: Any) -> None:
    grant = await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    assert grant.session.user.phone_confirmed_at
    changed = await service.update_user(as_person(service, caller, grant), Changes(phone=BEN))
    assert changed.phone == BEN
    assert post.phones.texts == []


async def test_another_number_is_confirmed_there(
    service: AuthService, caller: Caller, post: Any, tables: Any, clock: FakeClock
) -> None:
    ann = as_person(service, caller, await by_sms(service, caller, post))
    changed = await service.update_user(ann, Changes(phone=f"+{BEN}"))
    assert (changed.phone, changed.new_phone) == (ANN, BEN)
    first = await post.text()
    await service.one_time.resend(caller, "phone_change", ANN)
    second = await post.text()
    assert [sms.to for sms in post.phones.texts[1:]] == [BEN, BEN]
    if first != second:
        with pytest.raises(OtpExpired):
            await service.one_time.verify(caller, "phone_change", address=BEN, token=first)
    moved = await service.one_time.verify(caller, "phone_change", address=BEN, token=second)
    assert moved is not None
    assert (moved.session.user.phone, moved.session.user.identities[0].identity_data["phone"]) == (BEN, BEN)
    assert (await by_sms(service, caller, post, BEN)).session.user.id == moved.session.user.id
    ann = as_person(service, caller, moved)
    clock.move(901)
    with pytest.raises(ReauthenticationNeeded):
        await service.update_user(ann, Changes(phone=ANN))
    audit = "SELECT count(*) FROM corekit_audit WHERE action = 'auth.user_modified'"
    assert await tables.read(audit) == [(2,)]  # the number was confirmed, and then another one


async def test_a_number_of_somebody_else_gets_no_code(service: AuthService, caller: Caller, post: Any) -> None:
    await by_sms(service, caller, post, BEN)
    ann = as_person(service, caller, await by_sms(service, caller, post))
    assert (await service.update_user(ann, Changes(phone=BEN))).new_phone == BEN
    assert await post.deliver() == []
    assert len(post.phones.texts) == 2


@pytest.mark.parametrize("settings", [SLOW | {"profile": "supabase", "phone_autoconfirm": False}])
async def test_the_other_profile_says_that_it_is_taken(service: AuthService, caller: Caller, post: Any) -> None:
    await by_sms(service, caller, post, BEN)
    ann = as_person(service, caller, await by_sms(service, caller, post))
    with pytest.raises(PhoneExists):
        await service.update_user(ann, Changes(phone=BEN))


async def test_a_code_by_sms_stands_for_a_fresh_sign_in(
    service: AuthService, caller: Caller, post: Any, clock: FakeClock
) -> None:
    ann = as_person(service, caller, await by_sms(service, caller, post))
    clock.move(901)
    address, message = await service.one_time.reauthenticate(ann)
    assert (address, bool(message)) == (ANN, True)
    nonce = await post.text()
    assert (await service.update_user(ann, Changes(password=PASSWORD, nonce=nonce))).phone == ANN
    assert await service.grant_by_password(caller, ANN, PASSWORD)


async def test_over_http(
    web: Callable[..., httpx.AsyncClient], post: Any, refused: Callable[..., Awaitable[str]]
) -> None:
    async with web() as client:
        answers = [await client.post("/otp", json={"phone": f"+{phone}"}) for phone in (ANN, BEN)]
        assert {tuple(answer.json()) for answer in answers} == {("message_id",)}
        await post.deliver()
        code = next(sms for sms in post.phones.texts if sms.to == ANN).text.split()[0]
        session = (await client.post("/verify", json={"type": "sms", "phone": ANN, "token": code})).json()
        assert session["user"]["phone"] == ANN
        settings = (await client.get("/settings")).json()
        assert (settings["external"]["phone"], settings["phone_autoconfirm"]) == (True, False)
        assert settings["sms_provider"] == "corekit"
    async with web(session["access_token"]) as client:
        assert list((await client.get("/reauthenticate")).json()) == ["message_id"]
        changed = (await client.put("/user", json={"phone": "+4915100000001"})).json()
        assert changed["new_phone"] == "4915100000001"
    for field, body in {
        "code_challenge": {"password": PASSWORD, "code_challenge": "x" * 43, "code_challenge_method": "s256"},
        "email, phone": {"password": PASSWORD, "email": "ann@example.org"},
    }.items():
        said = await refused(400, "validation_failed", "POST", "/signup", json={"phone": ANN} | body)
        assert field in said
    for phone in ("12ab", "+0123", "1" * 16, "+"):
        assert "phone" in await refused(400, "validation_failed", "POST", "/otp", json={"phone": phone})
    said = await refused(400, "validation_failed", "POST", "/resend", json={"type": "signup", "phone": ANN})
    assert "type" in said
    assert "email" in await refused(400, "validation_failed", "POST", "/recover", json={"phone": ANN})


@pytest.mark.parametrize("settings", [{"phone": False}])
async def test_switched_off(
    service: AuthService, caller: Caller, refused: Callable[..., Awaitable[str]], signed_up: Grant
) -> None:
    for path, body in (
        ("/otp", {"phone": ANN}),
        ("/signup", {"phone": ANN, "password": PASSWORD}),
        ("/token?grant_type=password", {"phone": ANN, "password": PASSWORD}),
        ("/verify", {"type": "sms", "phone": ANN, "token": "123456"}),
    ):
        await refused(400, "phone_provider_disabled", "POST", path, json=body)
    with pytest.raises(PhoneDisabled):
        await service.update_user(as_person(service, caller, signed_up), Changes(phone=ANN))


async def test_what_the_provider_delays_is_sent_again_with_a_new_code(
    service: AuthService, caller: Caller, post: Any
) -> None:
    await service.one_time.otp(caller, ANN)
    post.phones.outcomes = [Retry(timedelta(seconds=5), "busy")]
    with pytest.raises(Again):
        await post.deliver()
    (first,) = post.phones.texts
    code = await post.text()
    assert await service.one_time.verify(caller, "sms", address=ANN, token=code)
    assert first.to == ANN


async def test_a_number_is_nowhere_in_clear(service: AuthService, caller: Caller, post: Any, tables: Any) -> None:
    """In no table, whatever its column; the outbox has ids alone."""
    ann = as_person(service, caller, await by_sms(service, caller, post))
    await service.update_user(ann, Changes(phone=BEN))
    await post.text()
    names = [name for name in Base.metadata.tables if name.startswith(("auth_", "corekit_"))]
    assert {"auth_users", "auth_identities", "corekit_outbox"} <= set(names)
    for name in names:
        rows = await tables.read(f'SELECT * FROM "{name}"')  # noqa: S608  # our own names
        written = repr([tuple(row) for row in rows])
        assert ANN not in written, name
        assert BEN not in written, name


class Carrier(Plugin[Settings]):
    """Sends codes by itself."""

    name = "carrier"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.sent: list[OutgoingSms] = []

    @implements(send_sms)
    async def carry(self, sms: OutgoingSms, caller: Caller) -> object | None:
        """Send one; a context may be opened, since none is."""
        async with caller.begin():
            self.sent.append(sms)
        return "done"


async def test_a_hook_sends_instead(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, post: Any, settings: dict[str, Any]
) -> None:
    carrier = Carrier()
    tables = {"auth": settings, "jobs": {"worker": False}}
    plugins = [AuthPlugin(), post, carrier]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        service, caller = kit.get(AuthService), kit.caller()
        await service.one_time.otp(caller, ANN)
        assert await post.deliver() == []
        (sms,) = carrier.sent
        assert (sms.phone, sms.sms_type, sms.user.email) == (ANN, "sms", "")
        assert await service.one_time.verify(caller, "sms", address=ANN, token=sms.otp)
    assert post.phones.texts == []


async def test_nothing_sends(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any]
) -> None:
    tables: dict[str, Any] = {"auth": settings, "sms": {"transport": "off"}, "jobs": {"worker": False}}
    kit: Corekit
    async with make_kit([AuthPlugin()], database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        with pytest.raises(SmsSendFailed):
            await kit.get(AuthService).one_time.otp(kit.caller(), ANN)
