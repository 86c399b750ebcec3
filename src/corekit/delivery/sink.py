"""The development sink: what would have been sent, in a table that `corekit mail` reads."""

from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID

import msgspec
from sqlalchemy import delete, or_, select

from corekit.context import Caller, Context
from corekit.contracts.delivery import Mail, MailSender, Outcome, Sent, Sms, SmsSender
from corekit.delivery.checks import demand_mail, demand_sms
from corekit.delivery.rows import SentRow
from corekit.values import uuid7
from corekit.watch.logs import get_logger

PURPOSE = "corekit.delivery"
KEPT, REMEMBERED = 1_000, timedelta(days=7)
_NEWEST = (SentRow.created_at.desc(), SentRow.id.desc())


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One mail or SMS in the sink."""

    id: UUID
    medium: Literal["mail", "sms"]
    to: str
    subject: str
    text: str
    html: str
    kind: str
    locale: str
    created_at: datetime


class OutboxMail(MailSender):
    """Keeps mail instead of sending it."""

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        """Write it down."""
        caller.demand_free("sending mail")
        demand_mail(mail)
        return await _keep(caller, "mail", mail, mail.subject, mail.html)


class OutboxSms(SmsSender):
    """Keeps SMS instead of sending them."""

    async def send(self, caller: Caller, sms: Sms) -> Outcome:
        """Write it down."""
        caller.demand_free("sending an SMS")
        demand_sms(sms)
        return await _keep(caller, "sms", sms)


async def sent(ctx: Context, *, to: str | None = None, limit: int = 50) -> list[SentMessage]:
    """Return what the sink holds, the newest first; `to` is a whole address or number. Needs the purpose `PURPOSE`."""
    rows = await ctx.session.scalars(select(SentRow).order_by(*_NEWEST).limit(KEPT if to is not None else limit))
    found = [_message(row) for row in rows]  # an address is sealed, so it is compared here
    return [message for message in found if to is None or _same(message.to, to)][:limit]


async def sent_one(ctx: Context, id_: UUID) -> SentMessage | None:
    """Return one mail or SMS of the sink. Needs the purpose `PURPOSE`."""
    row = await ctx.session.get(SentRow, id_)
    return None if row is None else _message(row)


async def _keep(
    caller: Caller, medium: Literal["mail", "sms"], message: Mail | Sms, subject: str = "", html: str = ""
) -> Outcome:
    async with caller.system(PURPOSE).begin() as ctx:
        row = SentRow(
            id=uuid7(),
            medium=medium,
            recipient=message.to,
            subject=subject,
            text=message.text,
            html=html,
            kind=message.kind,
            locale=message.locale,
            created_at=ctx.now(),
        )
        ctx.session.add(row)
        await ctx.session.flush()
        await _prune(ctx)
    get_logger("corekit.delivery").info(f"{medium}_kept", message_id=str(row.id))
    return Sent(str(row.id))


async def _prune(ctx: Context) -> None:
    newest = select(SentRow.id).order_by(*_NEWEST).limit(KEPT)
    old = or_(SentRow.created_at < ctx.now() - REMEMBERED, SentRow.id.not_in(newest))
    await ctx.session.execute(delete(SentRow).where(old).execution_options(synchronize_session=False))


def _message(row: SentRow) -> SentMessage:
    return SentMessage(
        id=row.id,
        medium=cast("Literal['mail', 'sms']", row.medium),
        to=row.recipient,
        subject=row.subject,
        text=row.text,
        html=row.html,
        kind=row.kind,
        locale=row.locale,
        created_at=row.created_at,
    )


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.strip().removeprefix("+").casefold()
