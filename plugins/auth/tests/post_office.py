"""A post office that keeps mail and SMS and delivers when a test says so."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import escape
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import text

from corekit import Caller
from corekit.contracts.delivery import Mail, MailSender, Outcome, Sent, Sms, SmsSender
from corekit.plugin import Kit, Plugin
from corekit.settings import Settings
from corekit_auth.purposes import SEND_CODE
from corekit_auth.service import AuthService


class Recorder(MailSender):
    """Keeps mails, and answers as it is told to."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.outcomes: list[Outcome] = []

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        """Keep one; it may take a context of its own, so none is open."""
        async with caller.begin():
            self.mails.append(mail)
        return self.outcomes.pop(0) if self.outcomes else Sent("1")


class Phones(SmsSender):
    """Keeps SMS, and answers as it is told to."""

    def __init__(self) -> None:
        self.texts: list[Sms] = []
        self.outcomes: list[Outcome] = []

    async def send(self, caller: Caller, sms: Sms) -> Outcome:
        """Keep one; it may take a context of its own, so none is open."""
        async with caller.begin():
            self.texts.append(sms)
        return self.outcomes.pop(0) if self.outcomes else Sent("1")


class Post(Plugin[Settings]):
    """A post office that delivers when a test says so."""

    name = "post"
    provides = (MailSender, SmsSender)

    def __init__(self) -> None:
        super().__init__(Settings())
        self.recorder = Recorder()
        self.phones = Phones()
        self._kit: Kit | None = None
        self._done: set[UUID] = set()

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Provide the sender."""
        kit.provide(MailSender, self.recorder)
        kit.provide(SmsSender, self.phones)
        self._kit = kit
        yield

    async def deliver(self) -> list[Mail]:
        """Do the jobs that are waiting, in their order; return the mails that they sent."""
        assert self._kit is not None
        before = len(self.recorder.mails)
        caller = self._kit.caller().system(SEND_CODE)
        async with caller.begin(readonly=True) as ctx:
            found = text("SELECT payload FROM corekit_outbox WHERE kind = 'job' ORDER BY id")
            waiting = [msgspec.json.decode(bytes(row), type=UUID) for row in await ctx.session.scalars(found)]
        for flow_id in waiting:
            if flow_id not in self._done:
                await self._kit.get(AuthService).one_time.send(caller, flow_id)
                self._done.add(flow_id)
        return self.recorder.mails[before:]

    async def code(self) -> str:
        """Deliver one mail, and read its digits."""
        return digits(*await self.deliver())

    async def text(self) -> str:
        """Deliver one SMS, and read its digits."""
        before = len(self.phones.texts)
        assert await self.deliver() == []
        (sms,) = self.phones.texts[before:]
        return sms.text.split()[0]

    async def link(self) -> httpx.URL:
        """Deliver one mail, and read its link."""
        return link(*await self.deliver())


def digits(mail: Mail) -> str:
    """Read the code in a mail."""
    found = re.search(r"\b(\d{6,10})$", mail.text, re.MULTILINE)
    assert found is not None, mail.text
    return found[1]


def link(mail: Mail) -> httpx.URL:
    """Read the link in a mail."""
    found = re.search(r"^https?://\S+$", mail.text, re.MULTILINE)
    assert found is not None, mail.text
    assert str(escape(found[0])) in mail.html
    return httpx.URL(found[0])
