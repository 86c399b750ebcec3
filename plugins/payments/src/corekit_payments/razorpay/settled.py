"""Lines of Razorpay's combined report."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from corekit.contracts.payments import OutcomeUnknown, SettlementRow
from corekit.values import Money
from corekit_payments.razorpay.reading import at

Kind = Literal["capture", "refund", "dispute", "other"]
_KINDS: dict[str, Kind] = {"payment": "capture", "refund": "refund"}


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    entity_id: str
    type: str
    amount: int
    currency: str
    debit: int = 0
    credit: int = 0
    fee: int | None = None
    tax: int | None = None
    settled: bool = True
    settled_at: int | None = None
    settlement_utr: str | None = None
    dispute_id: str | None = None


def rows(item: dict[str, Any]) -> Iterator[SettlementRow]:
    """Read one line; what is not settled yet gives none.

    `fee` includes `tax`. Of what is neither a payment nor a refund, the amount is negative where it went out.
    """
    try:
        read = msgspec.convert(item, _Item)
    except msgspec.ValidationError:
        raise OutcomeUnknown("its answer cannot be read") from None
    if not read.settled or read.settled_at is None:
        return
    kind: Kind = _KINDS.get(read.type, "dispute" if read.dispute_id else "other")
    minor = read.amount if read.type in _KINDS else read.credit - read.debit
    yield SettlementRow(
        id=read.entity_id, kind=kind, amount=Money(minor, read.currency), settled_at=at(read.settled_at),
        fee=None if read.fee is None else Money(read.fee, read.currency),
        tax=None if read.tax is None else Money(read.tax, read.currency),
        provider_ref=read.dispute_id if kind == "dispute" else read.entity_id, utr=read.settlement_utr,
    )  # fmt: skip
