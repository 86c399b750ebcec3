"""Changing the address of an account: who confirms, who is told, what a taken address looks like."""

from typing import Any

import pytest
from sqlalchemy import update

from corekit import Caller, Corekit
from corekit.contracts.delivery import Mail
from corekit.testing import FakeClock
from corekit.values import uuid7
from corekit_auth.accounts import Changes
from corekit_auth.errors import Aal2Needed, EmailExists, OtpExpired
from corekit_auth.models import FactorRow, SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

ANN, NEW, BOB = "ann@example.org", "ann@new.example.org", "bob@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Confirm addresses by mail; a test adds to that."""
    return {**getattr(request, "param", {})}


class Ann:
    """Somebody with an account, and what they do with it."""

    def __init__(self, service: AuthService, person: Caller, caller: Caller, post: Any) -> None:
        self.service, self.person, self.caller, self.post = service, person, caller, post

    async def asks(self, email: str = NEW, **more: Any) -> Any:
        return await self.service.update_user(self.person, Changes(email=email, **more))

    async def says(self, email: str, mail: Mail) -> Grant | None:
        code = next(word for word in reversed(mail.text.split()) if word.isdigit() and len(word) == 6)
        return await self.service.one_time.verify(self.caller, "email_change", address=email, token=code)

    async def mails(self) -> dict[str, Mail]:
        return {mail.to: mail for mail in await self.post.deliver()}


@pytest.fixture
async def ann(
    kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant, post: Any, monkeypatch: pytest.MonkeyPatch
) -> Ann:
    """Give Ann; from here on, addresses are confirmed."""
    monkeypatch.setattr(type(service.settings), "autoconfirm", lambda *_: False)
    actor = service.bearer(signed_up.session.access_token)
    return Ann(service, kit.caller(actor, caller.client), caller, post)


async def test_both_addresses_confirm_and_the_old_one_is_told(ann: Ann, service: AuthService, tables: Any) -> None:
    user = await ann.asks()
    assert (user.email, user.new_email) == (ANN, NEW)
    mails = await ann.mails()
    assert {to: mail.kind for to, mail in mails.items()} == {
        ANN: "auth.email_change_current",
        NEW: "auth.email_change_new",
    }
    assert NEW in mails[ANN].text
    assert await ann.says(NEW, mails[NEW]) is None
    assert "auth.email_changed" not in await tables.told()
    with pytest.raises(OtpExpired):
        await ann.says(NEW, mails[NEW])  # the same half twice is one half
    grant = await ann.says(ANN, mails[ANN])
    assert grant is not None
    assert (grant.session.user.email, str(grant.session.user.new_email)) == (NEW, "UNSET")
    assert grant.session.user.identities[0].email == NEW
    assert (await tables.told()).count("auth.email_changed") == 1
    notice = (await ann.mails())[ANN]
    assert (notice.kind, "verify" in notice.text) == ("auth.email_changed", False)
    assert await service.grant_by_password(ann.caller, NEW, PASSWORD)


@pytest.mark.parametrize("settings", [{"double_email_change": False}], indirect=True)
async def test_one_confirmation_can_do(ann: Ann) -> None:
    await ann.asks()
    mails = await ann.mails()
    assert set(mails) == {NEW}
    grant = await ann.says(NEW, mails[NEW])
    assert grant is not None
    assert grant.session.user.email == NEW


async def test_statement_5_a_taken_address_is_answered_as_a_free_one(
    ann: Ann, service: AuthService, caller: Caller, clock: FakeClock, tables: Any
) -> None:
    """Mutation: send the code of the new address without looking whether it is taken."""
    await _bob(service, caller)
    user = await ann.asks(BOB)
    assert (user.email, user.new_email) == (ANN, BOB)
    mails = await ann.mails()
    assert {to: mail.kind for to, mail in mails.items()} == {
        ANN: "auth.email_change_current",
        BOB: "auth.already_registered",
    }
    assert await ann.says(ANN, mails[ANN]) is None  # and the other half never comes
    rows = await tables.read("SELECT kind FROM auth_one_time_tokens")
    assert rows == []
    clock.move(60)
    again = await ann.asks("free@example.org")
    assert again.__struct_fields__ == user.__struct_fields__
    assert again.new_email == "free@example.org"


async def _bob(service: AuthService, caller: Caller) -> None:
    async with caller.system(SIGN_IN).begin() as ctx:
        await service.parts.users.add(ctx, BOB, None, {})


async def test_statement_5_uniqueness_is_asked_again_at_the_end(ann: Ann, service: AuthService, caller: Caller) -> None:
    await ann.asks(BOB)
    mails = await ann.mails()
    assert await ann.says(ANN, mails[ANN]) is None
    await _bob(service, caller)
    with pytest.raises(EmailExists):
        await ann.says(BOB, mails[BOB])


@pytest.mark.parametrize("settings", [{"hide_unknown": False}], indirect=True)
async def test_the_other_profile_says_that_it_is_taken(ann: Ann, service: AuthService, caller: Caller) -> None:
    await _bob(service, caller)
    with pytest.raises(EmailExists):
        await ann.asks(BOB)


async def test_the_mails_come_again_and_the_older_codes_are_void(ann: Ann, clock: FakeClock) -> None:
    await ann.asks()
    older = await ann.mails()
    assert await ann.says(NEW, older[NEW]) is None
    clock.move(60)
    await ann.service.one_time.resend(ann.caller, "email_change", ANN)
    newer = await ann.mails()
    assert set(newer) == {ANN, NEW}
    assert await ann.says(ANN, newer[ANN]) is None  # counted anew
    assert await ann.says(NEW, newer[NEW]) is not None


async def test_codes_to_the_old_address_die_with_it(ann: Ann, clock: FakeClock) -> None:
    await ann.asks()
    mails = await ann.mails()
    clock.move(60)
    await ann.service.one_time.recover(ann.caller, ANN)
    code = await ann.post.code()
    await ann.says(ANN, mails[ANN])
    await ann.says(NEW, mails[NEW])
    with pytest.raises(OtpExpired):
        await ann.service.one_time.verify(ann.caller, "recovery", address=ANN, token=code)


async def test_statement_11_a_second_factor_is_asked_for_with_401(
    ann: Ann, kit: Corekit, tables: Any, signed_up: Grant
) -> None:
    now, person = kit.clock.now(), signed_up.session.user.id
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        factor = FactorRow(id=uuid7(), user_id=person, type="totp", status="verified", failures=0)
        factor.friendly_name, factor.created_at, factor.updated_at = "phone", now, now
        ctx.session.add(factor)
    with pytest.raises(Aal2Needed) as refused:
        await ann.asks()
    assert (refused.value.status, refused.value.error) == (401, "insufficient_aal")
    await tables.write(update(SessionRow).values(aal=2))
    assert (await ann.asks()).new_email == NEW


async def test_where_addresses_are_trusted_it_moves_at_once_and_the_old_one_is_told(
    service: AuthService, kit: Corekit, caller: Caller, signed_up: Grant, post: Any, tables: Any
) -> None:
    person = kit.caller(service.bearer(signed_up.session.access_token), caller.client)
    await service.update_user(person, Changes(email=NEW))
    (notice,) = await post.deliver()
    assert (notice.to, notice.kind) == (ANN, "auth.email_changed")
    assert "auth.email_changed" in await tables.told()


async def test_somebody_without_an_address_gets_one(ann: Ann, tables: Any) -> None:
    await tables.write(update(UserRow).values(email=None, is_anonymous=True, email_confirmed_at=None))
    await ann.asks()
    mails = await ann.mails()
    assert set(mails) == {NEW}
    grant = await ann.says(NEW, mails[NEW])
    assert grant is not None
    assert (grant.session.user.is_anonymous, grant.session.user.email) == (False, NEW)
