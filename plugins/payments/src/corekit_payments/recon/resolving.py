"""Reconciliation items for those who resolve them: with a reason, once, and by what can be booked for the kind."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.audit import Audit, Target
from corekit.contracts.payments import MismatchResolved
from corekit.data.pages import newest
from corekit.errors import Conflict, Invalid, NotFound
from corekit.events import emit
from corekit.guard.preconditions import IfMatch
from corekit.values import Page, parse_id, typeid
from corekit_payments.books import Books, demand_purpose, lock_of
from corekit_payments.errors import PaymentState
from corekit_payments.ledger import post_returned
from corekit_payments.models import RECONCILE, OperationRow, ReconciliationItemRow
from corekit_payments.moving import begin_surplus_refund, tell_refund
from corekit_payments.reviewing import demand_reason
from corekit_payments.rights import permissions_of, person_of

Action = Literal["close", "refund", "reverse"]
ItemStatus = Literal["parked", "open", "resolved"]
_KIND_FOR = {"refund": "surplus", "reverse": "refund_returned"}
_VERSIONS: dict[str, int] = {"parked": 1, "open": 2, "resolved": 3}  # an item goes this way only
_ROW = ReconciliationItemRow


class ReconciliationItem(msgspec.Struct, frozen=True, kw_only=True):
    """A difference: `ours` and `theirs` have the state and the amount of each side, or nothing where it has none."""

    id: str
    version: int
    kind: str
    status: ItemStatus
    provider: str
    operation: str | None
    provider_ref: str | None
    ours: dict[str, Any]
    theirs: dict[str, Any]
    action: Action | None
    reason: str
    resolved_by: str | None
    resolved_at: datetime | None
    created_at: datetime


class ItemQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which items, the newest first."""

    status: ItemStatus | None = None
    kind: Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,32}(?!\n)$")] | None = None
    provider: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None


async def items(ctx: Context, query: ItemQuery) -> Page[ReconciliationItem]:
    """List the items of the tenant that the actor may see."""
    chosen = select(_ROW).where(_ROW.tenant.is_not_distinct_from(ctx.tenant))
    for column, value in ((_ROW.state, query.status), (_ROW.kind, query.kind), (_ROW.provider, query.provider)):
        chosen = chosen if value is None else chosen.where(column == value)
    found, more = await newest(ctx.session, chosen, _ROW.created_at, _ROW.id, limit=query.limit, cursor=query.cursor)
    return Page([_shown(row) for (row,) in found], more)


async def item(ctx: Context, id_: str) -> ReconciliationItem:
    """Return one that the actor may see (NotFound)."""
    return _shown(await _row(ctx, id_))


async def resolve(ctx: Context, id_: str, action: Action, reason: str, if_match: IfMatch) -> ReconciliationItem:
    """Resolve an item for a person who may, and say why; the same again answers the same.

    `close` books nothing: what there was to do is done elsewhere. `refund` gives a surplus back, as far as it was
    taken. `reverse` books that a refund has come back, so that it is owed to the payee again.

    Raises:
        NotFound: there is none, or they may not resolve it.
        Invalid, CardNumberRefused: of the reason, or this cannot be done with this kind.
        Conflict: it was resolved by another action.
        PreconditionFailed: it has changed since they read it.
        PaymentState, OperationOpen, DisputeOpen, AmountExceedsRemaining: a refund cannot be begun.

    """
    demand_purpose(ctx)
    demand_reason(reason)
    if RECONCILE not in permissions_of(ctx):
        raise NotFound
    row = await _row(ctx, id_)
    books = await lock_of(ctx, parse_id("pop", row.our_ref)) if row.our_ref else None
    row = await _row(ctx, id_, locked=True)
    if row.state == "resolved":
        if row.action != action:
            raise Conflict("it was resolved otherwise")
        return _shown(row)
    if_match.demand(_VERSIONS[row.state])
    if _KIND_FOR.get(action, row.kind) != row.kind:
        raise Invalid(f"only for items of the kind {_KIND_FOR[action]}", pointer="/action")
    if books is not None:
        await _do(books, row, action, reason)
    row.state, row.action, row.reason = "resolved", action, reason
    row.resolved_by, row.resolved_at = person_of(ctx), ctx.now()
    await _tell(ctx, row, books)
    return _shown(row)


async def _do(books: Books, row: ReconciliationItemRow, action: Action, reason: str) -> None:
    op = books.operation(parse_id("pop", row.our_ref))
    if action == "refund":
        made = await begin_surplus_refund(books, _taken(books, op), reason)
        made.initiator = person_of(books.ctx)
        books.settle_columns()
        books.changed()
        await tell_refund(books.ctx, books, made, "operator")
    elif action == "reverse":
        await post_returned(books, op)


def _taken(books: Books, op: OperationRow) -> OperationRow:
    """Return what took the money of a surplus (PaymentState where it is merely held)."""
    of_it = [op, *(one for one in books.operations if one.attempt_id == op.attempt_id)]
    found = next((one for one in of_it if one.kind == "capture" and one.surplus and one.state == "succeeded"), None)
    if found is None:
        raise PaymentState("nothing was taken that could go back", payment_status=books.payment.status)
    return found


async def _tell(ctx: Context, row: ReconciliationItemRow, books: Books | None) -> None:
    payment = None if books is None else books.payment.id
    await emit(ctx, MismatchResolved(item=row.id, kind=row.kind, payment=payment, provider=row.provider))
    details = {"item": str(row.id), "kind": row.kind, "action": row.action, "reason": row.reason, "via": "operator"}
    target = Target("payment", payment) if payment is not None else None
    await ctx.get(Audit).record(ctx, "payments.recon.resolved", target=target, details=details, actor=person_of(ctx))


async def _row(ctx: Context, id_: str, *, locked: bool = False) -> ReconciliationItemRow:
    wanted = select(_ROW).where(_ROW.id == parse_id("rci", id_, pointer="/id"))
    wanted = wanted.with_for_update() if locked else wanted
    row = await ctx.session.scalar(wanted, execution_options={"populate_existing": True})
    if row is None or row.tenant != ctx.tenant:
        raise NotFound
    return row


def _shown(row: ReconciliationItemRow) -> ReconciliationItem:
    return msgspec.convert(
        {
            "id": typeid("rci", row.id), "version": _VERSIONS[row.state], "kind": row.kind, "status": row.state,
            "provider": row.provider, "operation": row.our_ref or None, "provider_ref": row.their_ref or None,
            "ours": row.ours, "theirs": row.theirs, "action": row.action, "reason": row.reason,
            "resolved_by": None if row.resolved_by is None else typeid("usr", row.resolved_by),
            "resolved_at": row.resolved_at, "created_at": row.created_at,
        },
        ReconciliationItem,
    )  # fmt: skip
