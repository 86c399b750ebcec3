"""Stripe's lists, page by page, and what its balance says was settled."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from corekit.contracts.payments import SettlementRow
from corekit_payments.stripe.amounts import of_stripe
from corekit_payments.stripe.objects import HELD, Intent, capture_ref

LOOK_BACK = timedelta(days=8)  # what is held on a card is held for seven days at most, unless extended
MOST = 20  # a key that lives is sent again where a look finds nothing, so a look may end there
Read = Callable[[str, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
_Kind = Literal["capture", "refund", "dispute", "fee", "other"]
_KINDS: Mapping[str, _Kind] = {
    "charge": "capture", "payment": "capture", "refund": "refund", "payment_refund": "refund",
    "adjustment": "dispute", "stripe_fee": "fee", "stripe_fx_fee": "fee", "tax_fee": "fee",
}  # fmt: skip


class _Line(msgspec.Struct, frozen=True):
    id: str
    type: str
    amount: int
    fee: int
    currency: str
    available_on: int
    source: str | dict[str, Any] | None = None


class _Source(msgspec.Struct, frozen=True):
    id: str
    object: str = ""
    amount: int | None = None
    currency: str = ""
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


def since(begun: datetime) -> dict[str, Any]:
    """Ask for what was made since a time."""
    return {"created": {"gte": int(begun.timestamp())}}


async def pages(
    read: Read, resource: str, params: Mapping[str, Any], *, most: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    """List objects, the newest first; `most` pages of a hundred, or all."""
    after: dict[str, str] = {}
    count = 0
    while most is None or count < most:
        page = await read(resource, "list", {**params, **after, "limit": 100})
        found = page.get("data") or []
        for one in found:
            yield one
        if not page.get("has_more") or not found:
            return
        after, count = {"starting_after": found[-1]["id"]}, count + 1


def held_intent(given: dict[str, Any]) -> str | None:
    """Name the intent of a line's charge where it was held first: only it knows which captures were calls of ours."""
    source = _source(msgspec.convert(given, _Line))
    if source is None or source.object != "charge" or HELD not in (source.metadata or {}):
        return None
    return source.payment_intent


def settlement_row(given: dict[str, Any], intent: Intent | None = None) -> SettlementRow:
    """Read a line of the balance (ValueError); it names its operation as our books do.

    A charge in another currency than the account's is shown in its own: in that our books have it.
    """
    line = msgspec.convert(given, _Line)
    source = _source(line)
    kind: _Kind = _KINDS.get(line.type, "other")
    if kind == "dispute" and (source is None or source.object != "dispute"):
        kind = "other"
    units, currency = line.amount, line.currency
    if source is not None and source.currency not in {"", currency} and source.amount is not None:
        units, currency = source.amount, source.currency
    money = of_stripe(abs(units) if kind in {"capture", "refund"} else units, currency)  # these say which way
    return SettlementRow(
        id=line.id, kind=kind, settled_at=datetime.fromtimestamp(line.available_on, UTC), amount=money,
        fee=of_stripe(line.fee, line.currency), provider_ref=_ref(line, source, intent),
    )  # fmt: skip


def _source(line: _Line) -> _Source | None:
    return msgspec.convert(line.source, _Source) if isinstance(line.source, dict) else None


def _ref(line: _Line, source: _Source | None, intent: Intent | None) -> str | None:
    """Name the capture of an intent that was the one call of ours, or the intent; other objects by their id."""
    captures = list(intent.captures()) if intent is not None else []
    if intent is not None and len(captures) == 1:
        return capture_ref(intent.id, captures[0])
    if source is None:
        return line.source if isinstance(line.source, str) else None
    return source.payment_intent if source.object == "charge" and source.payment_intent else source.id
