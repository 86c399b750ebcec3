"""Payments as their readers see them; the policies say whose rows there are."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select

from corekit.context import Context
from corekit.contracts.payments import Decline, NextAction, Operation, Payment, PaymentQuery, Refund, Totals
from corekit.data.base import from_micros, to_micros
from corekit.errors import NotFound
from corekit.values import Money, Page, decode_cursor, encode_cursor, parse_id, typeid
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow
from corekit_payments.transitions import IN_HAND


async def read(ctx: Context, payment: UUID) -> Payment:
    """Return one (NotFound)."""
    fresh = {"populate_existing": True}
    row = await ctx.session.scalar(select(PaymentRow).where(PaymentRow.id == payment), execution_options=fresh)
    if row is None or row.tenant != ctx.tenant:
        raise NotFound
    return (await _shown(ctx, [row]))[0]


async def page(ctx: Context, query: PaymentQuery) -> Page[Payment]:
    """List them, the newest first."""
    at = PaymentRow.created_at
    chosen = select(PaymentRow).where(PaymentRow.tenant.is_not_distinct_from(ctx.tenant))
    chosen = chosen.order_by(at.desc(), PaymentRow.id.desc()).limit(query.limit + 1)
    for column, value in ((PaymentRow.status, query.status), (PaymentRow.provider, query.provider)):
        chosen = chosen if value is None else chosen.where(column == value)
    if query.since is not None:
        chosen = chosen.where(at >= query.since)
    if query.until is not None:
        chosen = chosen.where(at < query.until)
    if query.cursor is not None:
        micros, last = decode_cursor(query.cursor, tuple[int, UUID], pointer="/cursor")
        then = from_micros(micros)
        chosen = chosen.where(or_(at < then, and_(at == then, PaymentRow.id < last)))
    rows = list((await ctx.session.scalars(chosen)).all())
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(
        await _shown(ctx, shown),
        encode_cursor(to_micros(shown[-1].created_at), str(shown[-1].id)) if more else None,
    )


async def operations(ctx: Context, payment: UUID) -> list[Operation]:
    """List what was asked of providers for a payment (NotFound)."""
    shown = await read(ctx, payment)
    rows = select(OperationRow).where(OperationRow.payment_id == payment).order_by(OperationRow.seq)
    return [operation(one, shown.amount.currency) for one in await ctx.session.scalars(rows)]


async def in_hand(ctx: Context, payment: UUID) -> UUID | None:
    """Return the operation that a driver has work with, if there is one and no person has to look first (NotFound)."""
    await read(ctx, payment)
    waits = (OperationRow.state == "created") & OperationRow.review.is_not(None)
    held = (OperationRow.payment_id == payment) & OperationRow.state.in_(IN_HAND) & ~waits
    found: UUID | None = await ctx.session.scalar(select(OperationRow.id).where(held))
    return found


async def operation_row(ctx: Context, operation: UUID) -> OperationRow:
    """Return the row of an operation of this tenant (NotFound)."""
    fresh = {"populate_existing": True}
    row = await ctx.session.scalar(select(OperationRow).where(OperationRow.id == operation), execution_options=fresh)
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
    return [_payment(row, of[row.id], await _next_action(ctx, row, of[row.id])) for row in rows]


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
