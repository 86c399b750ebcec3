"""Delivery: mail and SMS to one person, and what became of it."""

from datetime import timedelta
from typing import Protocol

import msgspec

from corekit.context import Caller


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail to one address."""

    to: str
    subject: str
    text: str
    html: str = ""
    kind: str = ""
    locale: str = "en"


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """One SMS to one number: digits with the country prefix, without `+` (E.164)."""

    to: str
    text: str
    kind: str = ""
    locale: str = "en"


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """The provider took it; `id` is its name for it."""

    id: str


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    """Not now: try again after this time."""

    after: timedelta
    reason: str


class Throttled(msgspec.Struct, frozen=True, tag="throttled"):
    """The provider limits us."""

    after: timedelta


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The address is no more; do not use it again."""

    reason: str


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """The provider will never take this one."""

    reason: str


Outcome = Sent | Retry | Throttled | Gone | Rejected


class MailSender(Protocol):
    """Sends mail; called with no context open."""

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        """Hand one mail over."""
        ...


class SmsSender(Protocol):
    """Sends SMS; called with no context open."""

    async def send(self, caller: Caller, sms: Sms) -> Outcome:
        """Hand one SMS over."""
        ...
