"""What must hold between payments, operations and the ledger: one statement each, which returns what breaks it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from corekit.context import Context
from corekit_payments.ledger.rollups import wrong_sums
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow
from corekit_payments.models import OperationRow, PaymentRow

_TX, _POSTING, _OP, _PAYMENT = LedgerTransactionRow, PostingRow, OperationRow, PaymentRow
_SURPLUS = aliased(OperationRow)


def _posted(signs: Mapping[str, int], *, surplus: bool = True) -> ColumnElement[int]:
    """Sum up what was posted for a payment: kinds with their signs; `surplus` operations too, or not."""
    signed = case(*[(_TX.kind == kind, sign * _POSTING.amount) for kind, sign in signs.items()], else_=literal(0))
    total = (
        select(func.coalesce(func.sum(signed), 0))
        .select_from(_POSTING)
        .join(_TX, _TX.id == _POSTING.tx)
        .join(_OP, _OP.id == _TX.operation_id)
        .where(_OP.payment_id == _PAYMENT.id, *([] if surplus else [_OP.surplus.is_(False)]))
    )
    return total.correlate(_PAYMENT).scalar_subquery()


def _payments(wrong: ColumnElement[bool]) -> Select[Any]:
    return select(_PAYMENT.id).where(wrong)


def _without(*kinds: str) -> ColumnElement[bool]:
    return ~exists().where(and_(_TX.operation_id == _OP.id, _TX.kind.in_(kinds)))


_LOST = ("dispute_lost", "dispute_lost_late", "surplus_lost", "surplus_lost_late")
_MONEY = or_(
    and_(_OP.kind == "capture", _OP.state == "succeeded", _without("capture", "surplus")),
    and_(_OP.kind == "refund", _OP.state == "succeeded", _without("refund_done", "refund_late", "surplus_refund")),
    and_(_OP.kind == "refund", _OP.of.is_(None), _without("refund_created")),
    and_(_OP.kind == "dispute", _without("dispute_opened")),
    and_(_OP.kind == "dispute", _OP.state == "succeeded", _without(*_LOST)),
    and_(_OP.kind == "dispute", _OP.state.in_(["failed", "canceled"]), _without("dispute_won")),
)
INVARIANTS: Mapping[str, Select[Any]] = {
    "captured": _payments(_PAYMENT.captured != _posted({"capture": 1})),
    "refunded": _payments(_PAYMENT.refunded != _posted({"refund_done": 1, "refund_late": 1})),
    "refund_pending": _payments(
        _PAYMENT.refund_pending != _posted({"refund_created": 1, "refund_done": -1, "refund_failed": -1})
    ),
    "disputed": _payments(
        _PAYMENT.disputed != _posted({"dispute_opened": 1, "dispute_won": -1, "dispute_lost_late": 1}, surplus=False)
    ),
    "operations_without_posting": select(_OP.id).where(_MONEY),
    "postings_without_operation": select(_TX.id)
    .join(_OP, _OP.id == _TX.operation_id)
    .where(_TX.kind.in_(["capture", "surplus", "refund_done", "refund_late", "surplus_refund", *_LOST]))
    .where(_OP.state != "succeeded"),
    "transactions_without_pair": select(_TX.id).where(~exists().where(_POSTING.tx == _TX.id)),
    "settled_twice": select(_OP.id)
    .join(_TX, _TX.operation_id == _OP.id)
    .where(_TX.kind == "settlement", _OP.kind.in_(["capture", "refund"]))
    .group_by(_OP.id)
    .having(func.count() > 1),
    "currencies": select(_POSTING.tx)
    .join(LedgerAccountRow, or_(LedgerAccountRow.id == _POSTING.debit, LedgerAccountRow.id == _POSTING.credit))
    .where(LedgerAccountRow.currency != _POSTING.currency),
    "surplus": select(_SURPLUS.id)  # more given back than had come; what made it too much has an item of its own
    .join(_OP, _OP.of == _SURPLUS.id)
    .where(_OP.kind == "refund", _OP.state.not_in(["failed", "canceled"]), _OP.superseded.is_(False))
    .group_by(_SURPLUS.id, _SURPLUS.amount)
    .having(func.sum(_OP.amount) > _SURPLUS.amount),
}


async def broken(ctx: Context, *, rollups: bool = True) -> dict[str, list[str]]:
    """Return what breaks each invariant, by its id; nothing where all hold. It reads whole tables.

    Without `rollups` the sums by the hour are left out, for which every posting is read.
    """
    found: dict[str, list[str]] = {}
    for name, statement in INVARIANTS.items():
        rows = [str(id_) for id_ in await ctx.session.scalars(statement.limit(100))]
        if rows:
            found[name] = rows
    if rollups and (wrong := await wrong_sums(ctx)):
        found["rollups"] = [str(id_) for id_ in wrong][:100]
    return found
