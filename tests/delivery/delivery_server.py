"""A real SMTP server on this event loop, which keeps what it gets and refuses what it is told to."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from corekit import Corekit

Kits = Callable[..., AbstractAsyncContextManager[Corekit]]


class Inbox:
    """Its mails in `got`; `answers` has a reply per command, in place of 250."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, **options: Any) -> None:
        self.got: list[Envelope] = []
        self.answers: dict[str, str] = {}
        self.port = 0
        self._implicit = tls if implicit else None
        self._options = {"tls_context": None if implicit else tls, "hostname": "test", **options}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            return SMTP(self, loop=loop, **self._options)

        server = await loop.create_server(session, "127.0.0.1", 0, ssl=self._implicit)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    def message(self) -> EmailMessage:
        """Return the only mail that came."""
        (envelope,) = self.got
        return cast("EmailMessage", message_from_bytes(cast("bytes", envelope.content), policy=SMTPUTF8))

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from, envelope.mail_options = address, options
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" not in self.answers:
            self.got.append(envelope)
        return self.answers.get("DATA", "250 OK")


class OnePassword:
    """Knows one user."""

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"app", b"right horse"), handled=False)
