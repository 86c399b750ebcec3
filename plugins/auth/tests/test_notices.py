"""Statement 17: the owner of an account gets a mail after what a thief would do too. The worker is on here."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import text, update

from corekit import Caller, Client, Corekit
from corekit.contracts.auth import (
    FactorRemoved,
    FactorVerified,
    PasskeyAdded,
    PasskeyRemoved,
    PasswordChanged,
    PhoneChanged,
    RecoveryCodeUsed,
    RefreshReuseDetected,
    SignedIn,
)
from corekit.contracts.delivery import Mail, MailSender, Rejected, Retry
from corekit.data import DatabaseSettings
from corekit.events import Event
from corekit.testing import FakeClock, make_kit, settle
from corekit.values import uuid7
from corekit_auth import AuthPlugin
from corekit_auth.accounts import Changes
from corekit_auth.models import UserRow
from corekit_auth.notices import About
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService
from corekit_auth.telling import tell

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
FACTOR = {"factor_id": uuid7(), "factor_type": "totp"}
SESSION = {"session_id": uuid7()}
TOLD: list[tuple[type[Event], dict[str, Any], str]] = [
    (PasswordChanged, {}, "password_changed"),
    (PhoneChanged, {}, "phone_changed"),
    (FactorVerified, FACTOR, "factor_added"),
    (FactorRemoved, FACTOR, "factor_removed"),
    (PasskeyAdded, {"passkey_id": uuid7()}, "passkey_added"),
    (PasskeyRemoved, {"passkey_id": uuid7()}, "passkey_removed"),
    (RecoveryCodeUsed, {"left": 9}, "recovery_code_used"),
    (RefreshReuseDetected, SESSION, "refresh_reuse"),
    (SignedIn, {**SESSION, "method": "password", "new_device": True}, "new_device"),
]


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any], post: Any
) -> AsyncGenerator[Corekit]:
    """Start a kit whose worker runs."""
    tables = {"auth": settings}
    async with make_kit(
        [AuthPlugin(), post], database=database, tmp_path=tmp_path, clock=clock, settings=tables
    ) as kit:
        yield kit


async def rows(kit: Corekit, sql: str) -> list[Any]:
    async with kit.caller().system(SIGN_IN).begin(readonly=True) as ctx:
        return list((await ctx.session.execute(text(sql))).all())


async def told(kit: Corekit, *events: Event) -> None:
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        for event in events:
            await tell(ctx, event)
    await settle(kit)


def test_each_template_has_its_event() -> None:
    assert {about for _, _, about in TOLD} == set(get_args(About))


@pytest.mark.parametrize("locale", ["en", "de"])
async def test_each_event_sends_a_notice(kit: Corekit, signed_up: Grant, post: Any, tables: Any, locale: str) -> None:
    """Statement 17. Red when a listener is missing, or a template in a language."""
    await tables.write(update(UserRow).values(user_metadata={"locale": locale}))
    user_id = signed_up.session.user.id
    await told(kit, *(event(user_id=user_id, **rest) for event, rest, _ in TOLD))
    mails: list[Mail] = post.recorder.mails
    assert sorted(mail.kind for mail in mails) == sorted(f"auth.{about}" for _, _, about in TOLD)
    assert {(mail.to, mail.locale) for mail in mails} == {(ANN, locale)}
    assert len({mail.subject for mail in mails}) == len(TOLD)
    for mail in mails:
        assert "localhost" in mail.text
        assert f'<html lang="{locale}">' in mail.html


async def test_a_changed_password_and_a_new_device_through_the_verbs(
    kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant, post: Any
) -> None:
    """Statement 17. Red when the first device, or a known one, is told of."""
    await service.grant_by_password(caller, ANN, PASSWORD)
    await settle(kit)
    assert post.recorder.mails == []
    await service.grant_by_password(kit.caller(client=Client("198.51.100.7", "curl")), ANN, PASSWORD)
    await settle(kit)
    person = kit.caller(service.bearer(signed_up.session.access_token), client=caller.client)
    await service.update_user(person, Changes(password="another good horse", current_password=PASSWORD))
    await settle(kit)
    assert [mail.kind for mail in post.recorder.mails] == ["auth.new_device", "auth.password_changed"]


async def test_addresses_that_nobody_confirmed_and_accounts_that_are_gone_get_none(
    kit: Corekit, signed_up: Grant, post: Any, tables: Any
) -> None:
    await tables.write(update(UserRow).values(email_confirmed_at=None))
    await told(kit, PasswordChanged(user_id=signed_up.session.user.id), PasswordChanged(user_id=uuid7()))
    assert post.recorder.mails == []
    assert await tables.read("SELECT tag FROM corekit_job WHERE tag = 'auth.send_notice'") == []


async def test_a_sender_that_wants_time_gets_it(
    kit: Corekit, signed_up: Grant, post: Any, tables: Any, clock: FakeClock
) -> None:
    """Red when a notice is dropped, sent for ever to who refuses it, or when the job holds the address."""
    waiting = "SELECT payload FROM corekit_job WHERE tag = 'auth.send_notice'"
    post.recorder.outcomes = [Retry(timedelta(hours=1), "busy"), Rejected("no such box")]
    await told(kit, PasswordChanged(user_id=signed_up.session.user.id))
    (row,) = await tables.read(waiting)
    assert b"password_changed" in bytes(row[0])
    assert ANN not in str(bytes(row[0]))
    clock.move(3601)
    await settle(kit)
    assert len(post.recorder.mails) == 2
    assert await tables.read(waiting) == []


async def test_without_a_sender_nothing_is_sent_and_nothing_fails(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    """Red when the job fails: it would be tried again and buried for each notice."""
    tables = {"mail": {"transport": "off"}}
    plugins = [AuthPlugin()]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        grant = await kit.get(AuthService).grant_by_sign_up(kit.caller(), ANN, PASSWORD, {})
        await told(kit, PasswordChanged(user_id=grant.session.user.id))
        assert kit.find(MailSender) is None
        assert await rows(kit, "SELECT tag, state FROM corekit_job WHERE tag = 'auth.send_notice'") == []
        heard = await rows(kit, "SELECT listener FROM corekit_once WHERE listener = 'auth.notice_password'")
        assert len(heard) == 1
