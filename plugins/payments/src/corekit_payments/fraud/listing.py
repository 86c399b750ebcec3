"""The list of who and what does not pay here: kept by hash, shown to those who keep it."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from corekit.context import Context
from corekit.contracts.audit import Audit, Target
from corekit.contracts.payments.objects import NO_NUL
from corekit.data.pages import newest
from corekit.errors import Conflict, Invalid, NotFound
from corekit.values import Page, parse_id, typeid, uuid7
from corekit_payments.books import demand_purpose
from corekit_payments.checks import refuse_card_numbers
from corekit_payments.fraud.rows import MANAGE, FraudListRow
from corekit_payments.fraud.settings import Scope
from corekit_payments.fraud.subjects import LISTED, hashed, network
from corekit_payments.reviewing import demand_reason
from corekit_payments.rights import demand_held, person_of

PREFIX = "frd"
LIST = "block"  # the one that there is


class NewEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody or something: a person's id, the token of a card, a device's id, or a network as `203.0.113.0/24`."""

    kind: Scope
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=NO_NUL)]
    reason: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One of the list, until `expires_at` if there is one, with who put it there and why."""

    id: str
    kind: Scope
    value: str
    reason: str
    author: str
    expires_at: datetime | None
    created_at: datetime


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries, the newest first."""

    kind: Scope | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None


async def entries(ctx: Context, query: ListQuery) -> Page[Entry]:
    """List what stands, also what has ended and was not dropped yet."""
    row = FraudListRow
    chosen = select(row).where(row.tenant.is_not_distinct_from(ctx.tenant))
    if query.kind is not None:
        chosen = chosen.where(row.kind == query.kind)
    found, more = await newest(ctx.session, chosen, row.created_at, row.id, limit=query.limit, cursor=query.cursor)
    return Page([_entry(one) for (one,) in found], more)


async def add_entry(ctx: Context, new: NewEntry) -> Entry:
    """Put somebody or something on the list.

    Raises:
        Invalid, CardNumberRefused: of the value, the reason or the end.
        Conflict: it is there already.
        Refused: the person may not change the list.

    """
    demand_purpose(ctx)
    demand_held(ctx, MANAGE)
    demand_reason(new.reason)
    if new.expires_at is not None and new.expires_at <= ctx.now():
        raise Invalid("in the future", pointer="/expires_at")
    value, name = _normal(new)
    mac = hashed(ctx, new.kind, name)
    standing = await ctx.session.scalar(select(FraudListRow).where(FraudListRow.mac == mac))
    if standing is not None and (standing.expires_at is None or standing.expires_at > ctx.now()):
        raise Conflict("it is on the list already", entry=typeid(PREFIX, standing.id))
    if standing is not None:
        await ctx.session.delete(standing)
        await ctx.session.flush()
    row = FraudListRow(
        id=uuid7(), tenant=ctx.tenant, kind=new.kind, mac=mac, value=value, reason=new.reason, author=person_of(ctx),
        expires_at=new.expires_at, created_at=ctx.now(),
    )  # fmt: skip
    try:
        async with ctx.session.begin_nested():
            ctx.session.add(row)
            await ctx.session.flush()
    except IntegrityError:  # somebody else has just done it
        raise Conflict("it is on the list already") from None
    await _tell(ctx, row, "added", new.reason)
    return _entry(row, value)


async def drop_entry(ctx: Context, id_: str) -> None:
    """Take an entry off the list (NotFound, Refused)."""
    demand_purpose(ctx)
    demand_held(ctx, MANAGE)
    mine = FraudListRow.tenant.is_not_distinct_from(ctx.tenant)
    row = await ctx.session.scalar(select(FraudListRow).where(FraudListRow.id == parse_id(PREFIX, id_), mine))
    if row is None:
        raise NotFound
    await ctx.session.delete(row)
    await _tell(ctx, row, "removed", row.reason)


def _normal(new: NewEntry) -> tuple[str, str]:
    """Write a value as it is shown, and as attempts have it (Invalid)."""
    if new.kind == "principal":
        principal = str(parse_id("usr", new.value, pointer="/value"))
        return principal, principal
    if new.kind != "network":
        refuse_card_numbers({"value": new.value})
        return new.value, new.value
    try:
        found = ip_network(new.value)
    except ValueError:
        raise Invalid("an address, or a network as 203.0.113.0/24", pointer="/value") from None
    if found.prefixlen not in LISTED[found.version]:
        raise Invalid("IPv4 from /8 to /32, IPv6 from /16 to /64 or /128", pointer="/value")
    return str(found), network(found.network_address, found.prefixlen)


async def _tell(ctx: Context, row: FraudListRow, change: str, reason: str) -> None:
    """Keep who changed the list and why; whom it names is not for the audit."""
    details = {"via": "operator", "list": LIST, "change": change, "kind": row.kind, "reason": reason}
    target = Target("fraud_entry", typeid(PREFIX, row.id))
    await ctx.get(Audit).record(
        ctx, "payments.fraud.list_changed", target=target, details=details, actor=person_of(ctx)
    )


def _entry(row: FraudListRow, value: str | None = None) -> Entry:
    return Entry(
        id=typeid(PREFIX, row.id), kind=row.kind, value=row.value if value is None else value, reason=row.reason,
        author=typeid("usr", row.author), expires_at=row.expires_at, created_at=row.created_at,
    )  # fmt: skip
