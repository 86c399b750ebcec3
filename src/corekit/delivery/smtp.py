"""Mail by SMTP: one connection per mail, and what the server's answer means for whoever sends (RFC 5321, RFC 3463)."""

import asyncio
import contextlib
import re
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from corekit.context import Caller
from corekit.contracts.delivery import Gone, Mail, MailSender, Outcome, Rejected, Retry, Sent, Throttled
from corekit.delivery.checks import demand_mail
from corekit.delivery.settings import PORTS, MailSettings
from corekit.values import uuid7
from corekit.watch.logs import get_logger

SOON, LATER = timedelta(minutes=1), timedelta(minutes=5)
PERMANENT = 500
_LIMITED = frozenset((421, 452))  # too many connections, too many mails
_NO_MAILBOX = frozenset((550, 551, 553))
_OURS = frozenset((530, 534, 535, 538))  # about our sign-in (RFC 4954), not about this mail
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)")
_GOODBYE = 1.0  # seconds for a QUIT that nobody needs


class SmtpMail(MailSender):
    """Sends mail through the server that `[mail]` names."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        """Hand it over; `Sent.id` is the left side of its Message-ID."""
        caller.demand_free("sending mail")
        demand_mail(mail)
        name = str(uuid7())
        message = compose(self._settings, mail, name, caller.kit.clock.now())
        outcome = await self._hand_over(message, mail.to) or Sent(name)
        log = get_logger("corekit.delivery")
        if isinstance(outcome, Sent):
            log.info("mail_sent", message_id=name)
        else:
            log.warning("mail_not_sent", message_id=name, reason=_said(outcome))
        return outcome

    async def _hand_over(self, message: EmailMessage, to: str) -> Outcome | None:
        """Return what went wrong, None where nothing did. A server's text may name people: its codes alone are kept."""
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout):
                await client.connect()
                await client.send_message(message, sender=self._settings.from_address, recipients=[to])
        except SMTPRecipientsRefused as error:
            return meaning(error.recipients[0].code, error.recipients[0].message, at_recipient=True)
        except SMTPResponseException as error:
            greeting = isinstance(error, SMTPConnectError | SMTPHeloError)
            return meaning(error.code, error.message, at_greeting=greeting)
        except (SMTPException, OSError, UnicodeError) as error:
            if not to.isascii() and client.is_connected and not client.supports_extension("smtputf8"):
                return Rejected("the server takes ASCII addresses only")
            return Retry(SOON, f"the server cannot be used: {type(error).__name__}")
        else:
            with contextlib.suppress(SMTPException, OSError):  # it is accepted, whatever becomes of the connection
                await client.quit(timeout=_GOODBYE)
            return None
        finally:
            client.close()

    def _client(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.host,
            port=settings.port or PORTS[settings.tls],
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            cert_bundle=str(settings.ca_file) if settings.ca_file else None,
            username=settings.username or None,
            password=settings.password.reveal() if settings.password else None,
            timeout=settings.timeout,
        )


def compose(settings: MailSettings, mail: Mail, name: str, now: datetime) -> EmailMessage:
    """Write the message: plain text, and HTML as its alternative."""
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(settings.from_name, addr_spec=settings.from_address)
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = now
    message["Message-ID"] = f"<{name}@{settings.from_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no "I am on holiday" comes back
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    message["Content-Language"] = mail.locale  # last, or the first alternative alone would have it
    return message


def meaning(code: int, text: str, *, at_recipient: bool = False, at_greeting: bool = False) -> Outcome:
    """Say what a refusing reply means.

    `at_recipient`: to RCPT TO, where alone 550 speaks of the mailbox. `at_greeting`: before anything of this mail was
    said, so that it is not the mail's fault.
    """
    enhanced = _ENHANCED.match(text)
    reason = f"{code} {enhanced[0]}" if enhanced else str(code)
    if code in _LIMITED:
        return Throttled(LATER)
    if code < PERMANENT:
        return Retry(SOON, reason)
    if at_greeting or code in _OURS:
        return Retry(LATER, reason)
    if at_recipient and code in _NO_MAILBOX and not (enhanced and enhanced[0].startswith("5.7.")):  # 5.7: a policy
        return Gone(reason)
    return Rejected(reason)


def _said(outcome: Outcome) -> str:
    kind = type(outcome).__name__.lower()
    return f"{kind}: {outcome.reason}" if isinstance(outcome, Retry | Gone | Rejected) else kind
