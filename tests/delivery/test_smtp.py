"""Mail against a real SMTP server: what arrives, and what each refusal means."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

import pytest
from delivery_server import Inbox, Kits, OnePassword
from hypothesis import example, given
from hypothesis import strategies as st

from corekit import Corekit
from corekit.contracts.delivery import Gone, Mail, MailSender, Outcome, Rejected, Retry, Sent, Throttled
from corekit.delivery import MailSettings
from corekit.delivery.checks import demand_mail
from corekit.delivery.smtp import compose
from corekit.errors import InsideContext, Invalid
from corekit.testing import FakeClock, free_port

MAIL = Mail(to="ann@example.org", subject="Your code", text="It is 123456.\n")
HEADERS = [
    *("from", "to", "subject", "date", "message-id", "auto-submitted"),
    *("content-type", "content-transfer-encoding", "mime-version", "content-language"),
]
MINUTE, FIVE = timedelta(minutes=1), timedelta(minutes=5)


@pytest.fixture
async def kit(kits: Kits, inbox: Inbox) -> AsyncGenerator[Corekit]:
    async with kits(inbox) as kit:
        yield kit


async def send(kit: Corekit, mail: Mail = MAIL) -> Outcome:
    return await kit.get(MailSender).send(kit.caller(), mail)


def text_of(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


async def test_a_mail_arrives_as_it_was_written(kits: Kits, inbox: Inbox, clock: FakeClock) -> None:
    subject, text, html = "Grüße, 你好 🎉", "Der Code für Zoë: 123456\n", "<p>Der Code für <b>Zoë</b>: 123456</p>\n"
    mail = Mail(to="ann@example.org", subject=subject, text=text, html=html, locale="de")
    async with kits(inbox, from_name='Müller, "Söhne"') as kit:
        outcome = await send(kit, mail)
    (envelope,), got = inbox.got, inbox.message()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("app@example.com", ["ann@example.org"])
    assert got["Subject"] == subject
    assert got["To"] == "ann@example.org"
    assert got["From"].addresses[0].display_name == 'Müller, "Söhne"'
    assert got["From"].addresses[0].addr_spec == "app@example.com"
    assert got["Date"].datetime == clock.now()
    assert (got["Auto-Submitted"], got["Content-Language"]) == ("auto-generated", "de")
    assert isinstance(outcome, Sent)
    assert got["Message-ID"] == f"<{outcome.id}@example.com>"
    parts = {part.get_content_type(): text_of(part) for part in got.iter_parts()}
    assert parts == {"text/plain": text, "text/html": html}


async def test_without_html_it_is_plain_text(kit: Corekit, inbox: Inbox) -> None:
    await send(kit)
    assert inbox.message().get_content_type() == "text/plain"
    assert text_of(inbox.message()) == MAIL.text


@pytest.mark.parametrize(
    ("command", "answer", "outcome"),
    [
        ("RCPT", "550 5.1.1 <ann@example.org>: no such user", Gone("550 5.1.1")),
        ("RCPT", "551 user not local", Gone("551")),
        ("RCPT", "553 mailbox name not allowed", Gone("553")),
        ("RCPT", "550 5.7.1 unable to relay", Rejected("550 5.7.1")),
        ("RCPT", "552 5.2.2 mailbox full", Rejected("552 5.2.2")),
        ("RCPT", "450 4.2.0 greylisted", Retry(MINUTE, "450 4.2.0")),
        ("RCPT", "451 try later", Retry(MINUTE, "451")),
        ("RCPT", "452 4.5.3 too many recipients", Throttled(FIVE)),
        ("MAIL", "421 4.7.0 too many connections", Throttled(FIVE)),
        ("MAIL", "550 not from you", Rejected("550")),
        ("MAIL", "530 5.7.0 sign in first", Retry(FIVE, "530 5.7.0")),
        ("DATA", "554 5.7.1 looks like spam from ann@example.org", Rejected("554 5.7.1")),
        ("DATA", "550 content refused", Rejected("550")),
        ("DATA", "451 4.3.0 not now", Retry(MINUTE, "451 4.3.0")),
    ],
)
async def test_each_refusal_has_its_outcome(
    kit: Corekit, inbox: Inbox, command: str, answer: str, outcome: Outcome
) -> None:
    inbox.answers[command] = answer
    assert await send(kit) == outcome
    assert inbox.got == []


async def test_a_server_that_is_not_there_is_tried_again(kits: Kits, inbox: Inbox) -> None:
    async with kits(inbox, port=free_port()) as kit:
        assert await send(kit) == Retry(MINUTE, "the server cannot be used: SMTPConnectError")


async def test_a_server_that_says_nothing_is_left_in_time(kits: Kits, inbox: Inbox) -> None:
    """The timeout is for the whole mail, whatever the server does with each step."""
    stop = asyncio.Event()

    async def dumb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        await stop.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(dumb, "127.0.0.1", 0)
    async with server, kits(inbox, port=server.sockets[0].getsockname()[1], timeout=0.3) as kit:
        async with asyncio.timeout(5):
            assert isinstance(await send(kit), Retry)
        stop.set()


@pytest.mark.parametrize("greeting", ["554 5.3.2 no service for you", "500 what"])
async def test_a_greeting_that_refuses_is_not_the_mails_fault(kits: Kits, inbox: Inbox, greeting: str) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{greeting}\r\n".encode())
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    async with server, kits(inbox, port=server.sockets[0].getsockname()[1]) as kit:
        assert isinstance(await send(kit), Retry)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"to": "ann@example.org\r\nBcc: eve@example.org"}, "/to"),
        ({"to": "ann@example.org\n"}, "/to"),
        ({"to": "ann@example.org, eve@example.org"}, "/to"),
        ({"to": "ann@example.org> SIZE=1"}, "/to"),
        ({"to": "ann@"}, "/to"),
        ({"to": "a" * 250 + "@b.org"}, "/to"),
        ({"subject": "Hello\r\nBcc: eve@example.org"}, "/subject"),
        ({"subject": "Hello\n\n<script>"}, "/subject"),
        ({"subject": "Hello\u2028there"}, "/subject"),
        ({"subject": "=?utf-8?q?=0d=0aBcc=3a_eve=40example.org?= Hello 🎉"}, "/subject"),
        ({"to": "=?utf-8?q?=0d=0aBcc=3a?=@example.org"}, "/to"),
        ({"locale": "=?utf-8?b?DQpCY2M6?="}, "/locale"),
        ({"subject": ""}, "/subject"),
        ({"subject": "x" * 501}, "/subject"),
        ({"text": ""}, "/text"),
        ({"html": "x" * 1_000_001}, "/html"),
        ({"locale": "en\r\nBcc: eve@example.org"}, "/locale"),
        ({"kind": "x" * 101}, "/kind"),
    ],
)
async def test_nothing_gets_into_the_headers(kit: Corekit, inbox: Inbox, change: dict[str, str], pointer: str) -> None:
    given: dict[str, Any] = {"to": MAIL.to, "subject": MAIL.subject, "text": MAIL.text} | change
    with pytest.raises(Invalid) as raised:
        await send(kit, Mail(**given))
    assert raised.value.extensions["pointer"] == pointer
    assert inbox.got == []


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("=?_:qQbB \r\n")), min_size=1, max_size=120))
@example("=? ?= =?utf-8?q?x?=")
def test_whatever_passes_as_a_subject_is_one_header(subject: str) -> None:
    mail = Mail(to=MAIL.to, subject=subject, text=MAIL.text)
    with contextlib.suppress(Invalid):
        demand_mail(mail)
        written = compose(MailSettings(from_address="app@example.com"), mail, "name", FakeClock().now()).as_bytes()
        assert [name.lower() for name in message_from_bytes(written, policy=SMTPUTF8)] == HEADERS


async def test_lines_of_the_text_are_no_commands(kit: Corekit, inbox: Inbox) -> None:
    text = "one\n.\nMAIL FROM:<eve@example.org>\n..two\n"
    await send(kit, Mail(to=MAIL.to, subject="Dots", text=text))
    assert text_of(inbox.message()) == text


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it(kits: Kits, inbox: Inbox) -> None:
    mail = Mail(to="zoë@exämple.org", subject="Hallo", text="Hallo\n")
    async with kits(inbox) as kit:
        assert await send(kit, mail) == Rejected("the server takes ASCII addresses only")
    async with Inbox(enable_SMTPUTF8=True).running() as modern, kits(modern) as kit:
        assert isinstance(await send(kit, mail), Sent)
        assert modern.got[0].rcpt_tos == [mail.to]
        assert modern.message()["To"] == mail.to


async def test_starttls_signs_in_behind_it(kits: Kits, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    login = {"username": "app", "password": "right horse", "tls": "starttls", "ca_file": str(ca_file)}
    server = Inbox(tls=server_tls, require_starttls=True, auth_required=True, authenticator=OnePassword())
    async with server.running():
        async with kits(server, **login) as kit:
            assert isinstance(await send(kit), Sent)
        async with kits(server, **(login | {"password": "wrong horse"})) as kit:
            assert await send(kit) == Retry(FIVE, "535 5.7.8")
    assert server.message()["Subject"] == MAIL.subject


async def test_tls_from_the_start(kits: Kits, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    server = Inbox(tls=server_tls, implicit=True)
    async with server.running(), kits(server, tls="tls", ca_file=str(ca_file)) as kit:
        assert isinstance(await send(kit), Sent)
    assert server.message()["Subject"] == MAIL.subject


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    kits: Kits, server_tls: ssl.SSLContext, tls: str
) -> None:
    async with Inbox(tls=server_tls, implicit=tls == "tls").running() as server, kits(server, tls=tls) as kit:
        assert isinstance(await send(kit), Retry)
    assert server.got == []


async def test_a_server_without_starttls_gets_nothing(kits: Kits, inbox: Inbox) -> None:
    async with kits(inbox, tls="starttls") as kit:
        assert isinstance(await send(kit), Retry)
    assert inbox.got == []


async def test_no_context_may_be_open(kit: Corekit, inbox: Inbox) -> None:
    async with kit.caller().begin(readonly=True):
        with pytest.raises(InsideContext, match="sending mail"):
            await send(kit)
    assert inbox.got == []


async def test_the_log_names_the_mail_and_nobody(kit: Corekit, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "corekit.delivery")
    sent = await send(kit)
    assert isinstance(sent, Sent)
    inbox.answers["RCPT"] = "550 5.1.1 <ann@example.org>: no such user"
    await send(kit)
    assert f"'message_id': '{sent.id}'" in caplog.text
    assert "gone: 550 5.1.1" in caplog.text
    for secret in ("ann", "example.org", "123456", "code"):
        assert secret not in caplog.text
