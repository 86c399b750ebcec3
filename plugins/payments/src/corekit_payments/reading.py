"""Payments as their readers see them; the policies say whose rows there are."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select

from corekit.context import Context
from corekit.contracts.payments import Decline, NextAction, Operation, Payment, PaymentQuery, Refund, Totals
from corekit.data.pages import newest
from corekit.errors import NotFound
from corekit.values import Money, Page, parse_id, typeid
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow
from corekit_payments.transitions import IN_HAND

_FRESH = {"populate_existing": True}  # what was read before may be old
_WHOLE = (
    select(PaymentRow, OperationRow)
    .outerjoin(OperationRow, OperationRow.payment_id == PaymentRow.id)
    .where(PaymentRow.id == bindparam("payment", type_=PaymentRow.id.type))
    .order_by(OperationRow.seq)
)


async def read(ctx: Context, payment: UUID) -> Payment:
    """Return one (NotFound)."""
    return await shown(ctx, *await rows_of(ctx, payment))


async def rows_of(ctx: Context, payment: UUID) -> tuple[PaymentRow, list[OperationRow]]:
    """Return the row of one and those of its operations, in their order (NotFound)."""
    found = (await ctx.session.execute(_WHOLE, {"payment": payment}, execution_options=_FRESH)).all()
    if not found or found[0].PaymentRow.tenant != ctx.tenant:
        raise NotFound
    return found[0].PaymentRow, [one.OperationRow for one in found if one.OperationRow is not None]


async def shown(ctx: Context, row: PaymentRow, operations: Sequence[OperationRow]) -> Payment:
    """Write a payment as its readers see it, and to its payer what they have to do; who may see it was asked before."""
    return _payment(row, operations, await _next_action(ctx, row, operations))


async def page(ctx: Context, query: PaymentQuery) -> Page[Payment]:
    """List them, the newest first."""
    at = PaymentRow.created_at
    chosen = select(PaymentRow).where(PaymentRow.tenant.is_not_distinct_from(ctx.tenant))
    for column, value in ((PaymentRow.status, query.status), (PaymentRow.provider, query.provider)):
        chosen = chosen if value is None else chosen.where(column == value)
    if query.since is not None:
        chosen = chosen.where(at >= query.since)
    if query.until is not None:
        chosen = chosen.where(at < query.until)
    found, more = await newest(ctx.session, chosen, at, PaymentRow.id, limit=query.limit, cursor=query.cursor)
    return Page(await _shown(ctx, [row for (row,) in found]), more)


async def operations(ctx: Context, payment: UUID) -> list[Operation]:
    """List what was asked of providers for a payment (NotFound)."""
    row, rows = await rows_of(ctx, payment)
    return [operation(one, row.currency) for one in rows]


def in_hand(operations: Sequence[OperationRow]) -> OperationRow | None:
    """Return the operation that a driver has work with, if there is one and no person has to look first."""
    waits = next((one for one in operations if one.state in IN_HAND), None)
    return None if waits is None or (waits.state == "created" and waits.review is not None) else waits


async def operation_row(ctx: Context, operation: UUID) -> OperationRow:
    """Return the row of an operation of this tenant (NotFound)."""
    row = await ctx.session.scalar(select(OperationRow).where(OperationRow.id == operation), execution_options=_FRESH)
    if row is None or row.tenant != ctx.tenant:
        raise NotFound
    return row


async def refund(ctx: Context, operation: OperationRow, currency: str) -> Refund:
    """Return money on its way back."""
    await ctx.session.flush()
    return Refund(
        id=typeid("pop", operation.id),
        payment=typeid("pay", operation.payment_id),
        amount=Money(operation.amount, currency),
        state=operation.state,
        reason=operation.reason,
        surplus=operation.surplus,
        error=operation.error_class,
        created_at=operation.created_at,
        updated_at=operation.updated_at,
    )


async def _shown(ctx: Context, rows: Sequence[PaymentRow]) -> list[Payment]:
    ids = [row.id for row in rows]
    asked = select(OperationRow).where(OperationRow.payment_id.in_(ids)).order_by(OperationRow.seq)
    of: dict[UUID, list[OperationRow]] = defaultdict(list)
    for one in await ctx.session.scalars(asked):
        of[one.payment_id].append(one)
    return [await shown(ctx, row, of[row.id]) for row in rows]


async def _next_action(ctx: Context, row: PaymentRow, operations: Sequence[OperationRow]) -> NextAction | None:
    """Return what the payer has to do, to nobody but the payer."""
    person = ctx.caller.person
    if row.status != "requires_action" or person is None or person.id != row.payer:
        return None
    waiting = [one for one in operations if one.kind == "authorize" and one.state == "requires_action"]
    attempt = await ctx.session.get(AttemptRow, waiting[-1].attempt_id) if waiting else None
    if attempt is None or attempt.next_action is None:
        return None
    action: NextAction = msgspec.json.decode(attempt.next_action, type=NextAction)
    return action


def _payment(row: PaymentRow, operations: Sequence[OperationRow], action: NextAction | None) -> Payment:
    tries = [one for one in operations if one.kind == "authorize"]
    winner = next((one for one in tries if one.state == "succeeded" and not one.surplus), None)
    refused = tries[-1].error_class if tries and row.status in {"failed", "requires_payment_method"} else None
    return Payment(
        id=typeid("pay", row.id),
        version=row.version,
        status=row.status,
        refund_status=row.refund_status,
        dispute_status=row.dispute_status,
        amount=Money(row.amount, row.currency),
        totals=Totals(**{name: getattr(row, name) for name in Totals.__struct_fields__}),
        payer=typeid("usr", row.payer),
        payee="merchant" if row.payee is None else typeid("usr", row.payee),
        capture_method=row.capture_method,
        provider=row.provider,
        merchant_reference=row.merchant_reference,
        description=row.description,
        metadata=row.details,
        next_action=action,
        decline=None if refused is None else Decline(reason=refused),
        review=next((one.review for one in operations if one.review is not None), None),
        return_url=row.return_url,
        authorization_expires_at=winner.expires_at if winner and row.status == "requires_capture" else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def operation(row: OperationRow, currency: str) -> Operation:
    """Write an operation as its readers see it."""
    return Operation(
        id=typeid("pop", row.id),
        payment=typeid("pay", row.payment_id),
        attempt=typeid("att", row.attempt_id),
        kind=row.kind,
        seq=row.seq,
        amount=Money(row.amount, currency),
        final=row.final,
        state=row.state,
        surplus=row.surplus,
        of=None if row.of is None else typeid("pop", row.of),
        provider=row.provider,
        provider_ref=row.provider_ref,
        reference=row.reference,
        error=row.error_class,
        review=row.review,
        initiator=None if row.initiator is None else typeid("usr", row.initiator),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def parsed(id_: str) -> UUID:
    """Read a payment's id; what is none is one that nobody has."""
    return parse_id("pay", id_, pointer="/id")
