"""The job that sends: it looks the address up, makes the code, and sends while no context is open."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from corekit.context import Caller, Context
from corekit.contracts.auth import OutgoingMail, OutgoingSms, send_email, send_sms
from corekit.contracts.delivery import MailSender, Outcome, Retry, Sent, Sms, SmsSender, Throttled
from corekit.errors import Problem
from corekit.jobs import Bury
from corekit.jobs import Retry as Again
from corekit.watch.logs import get_logger
from corekit_auth.composing import Composing, Parcel
from corekit_auth.errors import OverEmailRate, OverSmsRate, ValidationFailed
from corekit_auth.mails import Draft, Mails
from corekit_auth.models import UserRow
from corekit_auth.parts import Parts


class Letters:
    """Sends what a flow asks for. A retry makes a new code and voids the older one."""

    def __init__(self, parts: Parts, mails: Mails) -> None:
        self._composing = Composing(parts, mails)
        self._flows = parts.flows
        self._log = get_logger("corekit.auth")
        self._mails = mails
        self._throttle = parts.throttle

    async def send(self, caller: Caller, flow_id: UUID) -> None:
        """Send, and keep what became of it; whom nobody knows gets nothing, and nobody hears of that."""
        again = caller.delivery is not None and caller.delivery.attempt > 1  # the first attempt has counted
        parcel = await self._parcel(caller, flow_id, charged=again)
        if parcel is not None and parcel.charge:
            parcel = await self._charged(caller, flow_id, parcel.charge)
        if parcel is None:
            return
        handled: object | None = None
        if parcel.outgoing is not None:
            handled = await self._by_hook(caller, parcel.outgoing)
        drafts = [*(parcel.drafts if handled is None else ()), *parcel.notices]
        later = [wait for draft in drafts if (wait := await self._posted(caller, draft)) is not None]
        if later:
            raise Again(max(later))
        async with caller.begin() as ctx:
            await self._record(ctx, flow_id, parcel)

    async def _charged(self, caller: Caller, flow_id: UUID, addresses: Sequence[str]) -> Parcel | None:
        """Count messages to whom nobody counted before; over the limit nothing is sent, and nobody hears of that."""
        try:
            await self._throttle.message_to(caller, *addresses)
        except (OverEmailRate, OverSmsRate, ValidationFailed) as refused:
            self._log.info("code_not_sent", reason=refused.slug)
            async with caller.begin() as ctx:
                await self._flows.drop(ctx, flow_id)
            return None
        return await self._parcel(caller, flow_id, charged=True)

    async def _parcel(self, caller: Caller, flow_id: UUID, *, charged: bool) -> Parcel | None:
        try:
            async with caller.begin() as ctx:
                flow = await self._flows.find(ctx, flow_id)
                if flow is None or flow.used:
                    return None
                parcel = await self._composing.compose(ctx, flow, charged=charged)
                if parcel is None:
                    await self._flows.drop(ctx, flow_id)
                return parcel
        except Problem as veto:
            if veto.temporary:
                raise
            self._log.info("code_not_sent", reason=veto.slug)
            async with caller.begin() as ctx:
                await self._flows.drop(ctx, flow_id)
            return None

    async def _by_hook(self, caller: Caller, outgoing: OutgoingMail | OutgoingSms) -> object | None:
        """Let a plugin send a code in our place."""
        if isinstance(outgoing, OutgoingSms):
            return await caller.kit.hooks.first(send_sms, outgoing, caller)
        return await caller.kit.hooks.first(send_email, outgoing, caller)

    async def _posted(self, caller: Caller, draft: Draft | Sms) -> timedelta | None:
        """Hand one message over; return how long to wait where it has to be tried again."""
        outcome = await (self._texted(caller, draft) if isinstance(draft, Sms) else self._mailed(caller, draft))
        if isinstance(outcome, Retry | Throttled):
            return outcome.after
        if not isinstance(outcome, Sent):
            self._log.warning("message_refused", reason=type(outcome).__name__)
        return None

    async def _mailed(self, caller: Caller, draft: Draft) -> Outcome:
        sender = caller.kit.find(MailSender)
        if sender is None:
            raise Bury("no plugin provides MailSender, and no hook send_email took the code")
        return await sender.send(caller, self._mails.write(draft))

    async def _texted(self, caller: Caller, sms: Sms) -> Outcome:
        sender = caller.kit.find(SmsSender)
        if sender is None:
            raise Bury("no plugin provides SmsSender, and no hook send_sms took the code")
        return await sender.send(caller, sms)

    async def _record(self, ctx: Context, flow_id: UUID, parcel: Parcel) -> None:
        if parcel.sent_at and parcel.user_id is not None:
            when = {column: ctx.now() for column in parcel.sent_at}
            await ctx.session.execute(update(UserRow).where(UserRow.id == parcel.user_id).values(**when))
        if not parcel.keeps_flow:
            await self._flows.drop(ctx, flow_id)
