"""The job that sends: hooks, outcomes, languages, and what it leaves in the database."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from corekit import Caller, Context, Corekit, implements
from corekit.contracts.auth import OutgoingMail, User, UserDraft, after_user_created, before_user_created, send_email
from corekit.contracts.delivery import MailSender, Rejected, Retry, Throttled
from corekit.data import DatabaseSettings
from corekit.errors import Forbidden
from corekit.jobs import Bury
from corekit.jobs import Retry as Again
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit, settle
from corekit_auth import AuthPlugin
from corekit_auth.errors import HookTimeout, OtpExpired
from corekit_auth.objects import Grant
from corekit_auth.pruning import prune
from corekit_auth.purposes import PRUNE, SEND_CODE
from corekit_auth.service import AuthService

ANN, BOB = "ann@example.org", "bob.canary@example.org"
PASSWORD = "correct horse battery"
PUSHY = {"mailer_autoconfirm": False}


class Guard(Plugin[Settings]):
    """Decides who may come, and sends in its own way where a test says so."""

    name = "guard"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.sent: list[OutgoingMail] = []
        self.came: list[User] = []
        self.sends = False
        self.sleeps = 0.0

    @implements(before_user_created)
    async def admit(self, draft: UserDraft, ctx: Context) -> UserDraft | None:
        """Refuse some, mark the others."""
        await asyncio.sleep(self.sleeps)
        if draft.email.startswith("mallory"):
            raise Forbidden("we know you")
        assert ctx.actor.kind == "system"
        return UserDraft(
            id=draft.id,
            email="other@example.org",
            role=draft.role,
            app_metadata={**draft.app_metadata, "plan": "free"},
            user_metadata={**draft.user_metadata, "seen": True},
        )

    @implements(after_user_created)
    async def greet(self, user: User, ctx: Context) -> None:
        """Write down who came; one is undone."""
        if user.email.startswith("undone"):
            raise Forbidden("no room")
        assert not ctx.readonly
        self.came.append(user)

    @implements(send_email)
    async def mail(self, mail: OutgoingMail, caller: Caller) -> object | None:
        """Send it, or leave it to the server; a context may be opened, since none is."""
        async with caller.begin():
            self.sent.append(mail)
        return "done" if self.sends else None


@pytest.fixture
def guard() -> Guard:
    """Give a plugin that implements the hooks."""
    return Guard()


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any], post: Any, guard: Guard
) -> AsyncGenerator[Corekit]:
    """Start a kit with hooks, on each database."""
    tables = {"auth": settings, "jobs": {"worker": False}}
    plugins = [AuthPlugin(), post, guard]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        yield kit


async def test_hooks_see_and_mark_who_comes(
    service: AuthService, caller: Caller, post: Any, guard: Guard, tables: Any
) -> None:
    await service.one_time.otp(caller, ANN, data={"name": "Ann"})
    grant = await service.one_time.verify(caller, "email", address=ANN, token=await post.code())
    assert grant is not None
    user = grant.session.user
    assert user.email == ANN  # the address is whom the code was for
    assert user.user_metadata == {"name": "Ann", "seen": True}
    assert user.app_metadata["plan"] == "free"
    assert [(one.id, one.email) for one in guard.came] == [(user.id, ANN)]
    assert len(await tables.read("SELECT id FROM auth_users")) == 1


@pytest.mark.parametrize("email", ["mallory@example.org", "undone@example.org"])
async def test_statement_5_a_veto_ends_the_job_silently(
    service: AuthService, caller: Caller, post: Any, tables: Any, email: str
) -> None:
    await service.one_time.otp(caller, email)
    assert await post.deliver() == []
    assert await tables.read("SELECT id FROM auth_users") == []
    assert await tables.read("SELECT id FROM auth_flow_states") == []


@pytest.mark.parametrize("settings", [PUSHY])
async def test_a_veto_of_a_sign_up_is_said(service: AuthService, caller: Caller, tables: Any) -> None:
    with pytest.raises(Forbidden, match="we know you"):
        await service.sign_up_with_password(caller, "mallory@example.org", PASSWORD, {})
    assert await tables.read("SELECT id FROM auth_flow_states") == []


@pytest.mark.parametrize("settings", [{"hook_timeout": 0.05}])
async def test_a_hook_has_so_much_time(service: AuthService, caller: Caller, guard: Guard) -> None:
    guard.sleeps = 5
    with pytest.raises(HookTimeout):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    assert guard.came == []


async def test_a_hook_sends_instead(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, guard: Guard
) -> None:
    guard.sends = True
    await service.one_time.recover(caller, ANN, redirect_to="https://evil.example")
    assert await post.deliver() == []
    (mail,) = guard.sent
    assert (mail.to, mail.user.id, mail.email_action_type) == (ANN, signed_up.session.user.id, "recovery")
    assert (mail.site_url, mail.redirect_to, mail.locale) == ("http://localhost:3000", "http://localhost:3000", "en")
    assert await service.one_time.verify(caller, "recovery", token_hash=mail.token_hash)
    with pytest.raises(OtpExpired):
        await service.one_time.verify(caller, "recovery", address=ANN, token=mail.token)


@pytest.mark.parametrize("outcome", [Retry(timedelta(seconds=7), "busy"), Throttled(timedelta(seconds=7))])
async def test_what_cannot_be_sent_now_is_sent_later_with_another_code(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, guard: Guard, outcome: Any
) -> None:
    post.recorder.outcomes.append(outcome)
    await service.one_time.recover(caller, ANN)
    with pytest.raises(Again) as again:
        await post.deliver()
    assert again.value.after == timedelta(seconds=7)
    assert await post.deliver()
    older, newer = guard.sent
    with pytest.raises(OtpExpired):
        await service.one_time.verify(caller, "recovery", token_hash=older.token_hash)
    assert await service.one_time.verify(caller, "recovery", token_hash=newer.token_hash)
    assert signed_up


async def test_what_is_never_taken_is_not_tried_again(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, tables: Any
) -> None:
    post.recorder.outcomes.append(Rejected("no such mailbox"))
    await service.one_time.recover(caller, ANN)
    assert len(await post.deliver()) == 1
    assert await post.deliver() == []
    assert await tables.read("SELECT id FROM auth_flow_states") == []
    assert signed_up


async def test_without_a_sender_the_job_is_buried_with_a_reason(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, kit: Corekit
) -> None:
    del kit._services[MailSender]
    await service.one_time.recover(caller, ANN)
    with pytest.raises(Bury, match="MailSender"):
        await post.deliver()
    assert signed_up


async def test_statement_17_no_code_address_or_token_lies_about(
    service: AuthService,
    caller: Caller,
    post: Any,
    guard: Guard,
    tables: Any,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Canaries: outbox and job rows hold an id, tables hold HMACs and sealed texts, logs nothing.

    Mutation: enqueue the address.
    """
    await service.one_time.otp(caller, BOB, data={"name": "Canary Bird"})
    waiting = str([row for name in _PLACES for row in await tables.read(f"SELECT * FROM {name}")])  # noqa: S608
    await post.deliver()
    (mail,) = guard.sent
    stored = str([row for name in _PLACES for row in await tables.read(f"SELECT * FROM {name}")])  # noqa: S608
    said = caplog.text + "".join(capsys.readouterr())
    for secret in (BOB, "Canary", mail.token_hash):
        assert secret not in waiting + stored + said
    assert f"'{mail.token}'" not in stored + said


_PLACES = ("corekit_outbox", "corekit_job", "auth_flow_states", "auth_one_time_tokens")


async def test_mails_are_written_in_the_language_of_who_asked(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, clock: FakeClock
) -> None:
    subjects = {}
    for locale in ("de-AT", "fr", "../../etc", "en"):
        await service.one_time.otp(replace(caller, locale=locale), ANN)
        (mail,) = await post.deliver()
        subjects[locale] = mail.subject
        assert "\n" not in mail.subject
        assert mail.html.startswith("<!doctype html>")
        clock.move(900)
    assert subjects == {
        "de-AT": "Anmelden bei localhost",
        "fr": "Sign in to localhost",
        "../../etc": "Sign in to localhost",
        "en": "Sign in to localhost",
    }
    assert signed_up


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Write a template of the operator's own."""
    (tmp_path / "own" / "en").mkdir(parents=True)
    (tmp_path / "own" / "en" / "magiclink.txt").write_text("Ours for {{ email }}\n\n{{ link }}\n\n{{ token }}\n")
    return tmp_path / "own"


async def test_own_templates_come_first(database: DatabaseSettings, tmp_path: Path, own: Path, post: Any) -> None:
    tables = {"auth": {"templates": str(own)}, "jobs": {"worker": False}}
    async with make_kit([AuthPlugin(), post], database=database, tmp_path=tmp_path, settings=tables) as kit:
        await kit.get(AuthService).one_time.otp(kit.caller(), "<ann>@example.org")
        (mail,) = await post.deliver()
    assert mail.subject == "Ours for <ann>@example.org"
    assert "Sign in" in mail.html  # the other half is ours


async def test_the_worker_does_it(database: DatabaseSettings, tmp_path: Path, post: Any) -> None:
    """With everything as it runs: the request returns, the job sends, exactly one mail."""
    async with make_kit([AuthPlugin(), post], database=database, tmp_path=tmp_path) as kit:
        await kit.get(AuthService).one_time.otp(kit.caller(), ANN)
        await settle(kit)
        assert [mail.to for mail in post.recorder.mails] == [ANN]


async def test_what_has_run_out_is_deleted(
    service: AuthService, caller: Caller, signed_up: Grant, post: Any, clock: FakeClock, kit: Corekit, tables: Any
) -> None:
    await service.one_time.otp(caller, ANN)
    await post.deliver()
    clock.move(60)
    await service.one_time.recover(caller, ANN)
    for moved, left in ((600, 2), (3600 + 3600, 0)):
        clock.move(moved)
        async with kit.caller().system(PRUNE).begin() as ctx:
            await prune(ctx, service.settings)
        rows = await tables.read("SELECT id FROM auth_one_time_tokens UNION ALL SELECT id FROM auth_flow_states")
        assert len(rows) == left
    await service.one_time.send(caller.system(SEND_CODE), signed_up.session_id)  # a flow that is gone
