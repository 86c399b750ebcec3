"""Notices: a mail to the owner of an account after a change that a thief would make too."""

from typing import Literal
from uuid import UUID

import msgspec

from corekit.context import Caller, Context
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
from corekit.contracts.delivery import MailSender, Retry, Sent, Throttled
from corekit.events import Event, on, once
from corekit.jobs import Retry as Again
from corekit.jobs import enqueue, job
from corekit.watch.logs import get_logger
from corekit_auth.mails import Draft, Mails
from corekit_auth.parts import Parts
from corekit_auth.purposes import SEND_CODE

About = Literal[
    "factor_added",
    "factor_removed",
    "new_device",
    "passkey_added",
    "passkey_removed",
    "password_changed",
    "phone_changed",
    "recovery_code_used",
    "refresh_reuse",
]
_LOCALE = "en"


class Notice(msgspec.Struct, frozen=True):
    """Whom to tell, and about what: the template's name. The address is looked up by the job that sends."""

    user_id: UUID
    about: About


class Notices:
    """Sends notices; where nothing sends mail there are none, and nothing fails."""

    def __init__(self, parts: Parts, mails: Mails) -> None:
        self._log = get_logger("corekit.auth")
        self._mails = mails
        self._users = parts.users

    async def send(self, caller: Caller, notice: Notice) -> None:
        """Send one to the account's address, if its owner has confirmed it (Again: the sender asks for time)."""
        sender = caller.kit.find(MailSender)
        if sender is None:
            return
        draft = await self._draft(caller, notice)
        if draft is None:
            return
        outcome = await sender.send(caller, self._mails.write(draft))
        if isinstance(outcome, Retry | Throttled):
            raise Again(outcome.after)
        if not isinstance(outcome, Sent):
            self._log.warning("message_refused", reason=type(outcome).__name__)

    async def _draft(self, caller: Caller, notice: Notice) -> Draft | None:
        async with caller.begin(readonly=True) as ctx:
            user = next(iter(await self._users.by_id(ctx, [notice.user_id])), None)
            if user is None or user.email is None or user.email_confirmed_at is None:
                return None
            wanted = user.user_metadata.get("locale")  # nobody asks here whose language could be taken
            locale = wanted if isinstance(wanted, str) else _LOCALE
            return Draft(to=user.email, template=notice.about, locale=locale)


class Noticing:
    """What the plugin hears of its own events: each asks for a notice, once."""

    notices: Notices | None = None

    @job("auth.send_notice", network=True, purpose=SEND_CODE)
    async def send_notice(self, caller: Caller, notice: Notice) -> None:
        """Send a notice."""
        if self.notices is not None:
            await self.notices.send(caller, notice)

    async def _ask(self, ctx: Context, event: Event, user_id: UUID, about: About) -> None:
        if await once(ctx, event):
            await enqueue(ctx, self.send_notice, Notice(user_id, about))

    @on(PasswordChanged)
    async def notice_password(self, ctx: Context, event: PasswordChanged) -> None:
        """Tell of a new password."""
        await self._ask(ctx, event, event.user_id, "password_changed")

    @on(PhoneChanged)
    async def notice_phone(self, ctx: Context, event: PhoneChanged) -> None:
        """Tell of another number."""
        await self._ask(ctx, event, event.user_id, "phone_changed")

    @on(FactorVerified)
    async def notice_factor(self, ctx: Context, event: FactorVerified) -> None:
        """Tell of a second factor that is asked for from now on."""
        await self._ask(ctx, event, event.user_id, "factor_added")

    @on(FactorRemoved)
    async def notice_no_factor(self, ctx: Context, event: FactorRemoved) -> None:
        """Tell of a second factor that is gone."""
        await self._ask(ctx, event, event.user_id, "factor_removed")

    @on(PasskeyAdded)
    async def notice_passkey(self, ctx: Context, event: PasskeyAdded) -> None:
        """Tell of another passkey."""
        await self._ask(ctx, event, event.user_id, "passkey_added")

    @on(PasskeyRemoved)
    async def notice_no_passkey(self, ctx: Context, event: PasskeyRemoved) -> None:
        """Tell of a passkey that is gone."""
        await self._ask(ctx, event, event.user_id, "passkey_removed")

    @on(RecoveryCodeUsed)
    async def notice_recovery_code(self, ctx: Context, event: RecoveryCodeUsed) -> None:
        """Tell of a code that took the place of a second factor."""
        await self._ask(ctx, event, event.user_id, "recovery_code_used")

    @on(RefreshReuseDetected)
    async def notice_reuse(self, ctx: Context, event: RefreshReuseDetected) -> None:
        """Tell of a session that two held."""
        await self._ask(ctx, event, event.user_id, "refresh_reuse")

    @on(SignedIn)
    async def notice_device(self, ctx: Context, event: SignedIn) -> None:
        """Tell of a sign-in from a device that is new."""
        if event.new_device:
            await self._ask(ctx, event, event.user_id, "new_device")
