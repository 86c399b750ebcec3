"""The development sink, on each database: what is sent can be read, sealed, for a while, and by nobody else."""

import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from corekit import Corekit
from corekit.contracts.delivery import Mail, MailSender, Sent, Sms, SmsSender
from corekit.data import DatabaseSettings
from corekit.delivery import PURPOSE, SentMessage, sent, sent_one, sink
from corekit.delivery.rows import SentRow
from corekit.errors import InsideContext, Invalid
from corekit.testing import FakeClock, act_as, make_kit

MAIL = Mail(to="ann@example.org", subject="Grüße", text="It is 123456.", html="<b>123456</b>", kind="code", locale="de")
SMS = Sms(to="491701234567", text="It is 654321.", kind="code")


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    settings = {"jobs": {"worker": False}}
    async with make_kit(database=database, tmp_path=tmp_path, clock=clock, settings=settings) as kit:
        yield kit


async def mail(kit: Corekit, to: str = MAIL.to, subject: str = MAIL.subject) -> str:
    outcome = await kit.get(MailSender).send(kit.caller(), Mail(to=to, subject=subject, text="Hello"))
    assert isinstance(outcome, Sent)
    return outcome.id


async def found(kit: Corekit, to: str | None = None, limit: int = 50) -> list[SentMessage]:
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        return await sent(ctx, to=to, limit=limit)


async def test_mail_and_sms_are_read_as_they_were_sent(kit: Corekit, clock: FakeClock) -> None:
    caller = act_as(kit, "alice")
    first = await kit.get(MailSender).send(caller, MAIL)
    clock.move(1)
    second = await kit.get(SmsSender).send(caller, SMS)
    one, other = await found(kit)
    assert (Sent(str(one.id)), Sent(str(other.id))) == (second, first)
    assert (one.medium, one.to, one.text, one.subject, one.html) == ("sms", SMS.to, SMS.text, "", "")
    assert (other.medium, other.to, other.subject) == ("mail", MAIL.to, MAIL.subject)
    assert (other.text, other.html, other.kind, other.locale) == (MAIL.text, MAIL.html, "code", "de")
    assert one.created_at == clock.now()
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        assert await sent_one(ctx, other.id) == other
        assert await sent_one(ctx, kit.caller().actor.id) is None


async def test_a_recipient_is_found_whole_in_every_way_to_write_it(kit: Corekit) -> None:
    await mail(kit)
    await mail(kit, "joann@example.org")
    await kit.get(SmsSender).send(kit.caller(), SMS)
    assert [each.to for each in await found(kit, "Ann@Example.org ")] == [MAIL.to]
    assert [each.to for each in await found(kit, "+491701234567")] == [SMS.to]
    assert await found(kit, "example.org") == []
    assert len(await found(kit, limit=2)) == 2


async def test_the_newest_are_kept(kit: Corekit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "KEPT", 3)
    for number in range(5):
        await mail(kit, subject=f"mail {number}")
        clock.move(1)
    assert [each.subject for each in await found(kit)] == ["mail 4", "mail 3", "mail 2"]


async def test_a_week_later_they_are_gone(kit: Corekit, clock: FakeClock) -> None:
    await mail(kit, subject="old")
    clock.move(7 * 86_400)
    await mail(kit, subject="a week younger")
    assert [each.subject for each in await found(kit)] == ["a week younger", "old"]
    clock.move(1)
    await mail(kit, subject="new")
    assert [each.subject for each in await found(kit)] == ["new", "a week younger"]


async def test_nothing_of_it_is_in_the_database_in_clear(kit: Corekit) -> None:
    await kit.get(MailSender).send(kit.caller(), MAIL)
    await kit.get(SmsSender).send(kit.caller(), SMS)
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        rows = (await ctx.session.execute(text("SELECT * FROM corekit_sent"))).all()
    assert len(rows) == 2
    for secret in (MAIL.to, MAIL.subject, "123456", SMS.to, "654321"):
        assert secret not in str(rows)


async def test_others_see_nothing(kit: Corekit) -> None:
    await mail(kit)
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        assert await ctx.session.scalar(select(func.count()).select_from(SentRow)) == 1
    with pytest.raises(DatabaseError):
        async with act_as(kit, "alice").begin(readonly=True) as ctx:
            await sent(ctx)


async def test_no_context_may_be_open(kit: Corekit) -> None:
    async with kit.caller().begin(readonly=True):
        with pytest.raises(InsideContext, match="sending mail"):
            await mail(kit)
        with pytest.raises(InsideContext, match="sending an SMS"):
            await kit.get(SmsSender).send(kit.caller(), SMS)
    assert await found(kit) == []


async def test_it_refuses_what_smtp_would_refuse(kit: Corekit) -> None:
    with pytest.raises(Invalid) as raised:
        await mail(kit, "ann@example.org\r\nBcc: eve@example.org")
    assert raised.value.extensions["pointer"] == "/to"


@pytest.mark.parametrize(
    ("sms", "pointer"),
    [
        (Sms(to="+491701234567", text="x"), "/to"),
        (Sms(to="0170", text="x"), "/to"),
        (Sms(to="1" * 16, text="x"), "/to"),
        (Sms(to="491701234567\n", text="x"), "/to"),
        (Sms(to=SMS.to, text=""), "/text"),
        (Sms(to=SMS.to, text="x" * 1_601), "/text"),
    ],
)
async def test_an_sms_that_no_provider_would_take_is_refused(kit: Corekit, sms: Sms, pointer: str) -> None:
    with pytest.raises(Invalid) as raised:
        await kit.get(SmsSender).send(kit.caller(), sms)
    assert raised.value.extensions["pointer"] == pointer


async def test_the_log_names_the_message_and_nobody(kit: Corekit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "corekit.delivery")
    outcomes = [
        await kit.get(MailSender).send(kit.caller(), MAIL),
        await kit.get(SmsSender).send(kit.caller(), SMS),
    ]
    for outcome in outcomes:
        assert isinstance(outcome, Sent)
        assert f"'message_id': '{outcome.id}'" in caplog.text
    for secret in ("ann", "example.org", "123456", "654321", "1701234567"):
        assert secret not in caplog.text
