"""Capturing what is held and giving back what was captured: recorded under the payment's lock, within what remains."""

from uuid import UUID

from corekit.context import Context
from corekit.contracts.payments import RefundDraft, RefundRequested, before_refund
from corekit.errors import Invalid
from corekit.events import emit
from corekit.values import Money, typeid
from corekit_payments.books import Books
from corekit_payments.errors import (
    AmountExceedsRemaining,
    AmountOutOfRange,
    DisputeOpen,
    OperationOpen,
    PaymentState,
)
from corekit_payments.ledger import post
from corekit_payments.models import OperationRow
from corekit_payments.providers import Providers
from corekit_payments.telling import Via, common, record
from corekit_payments.transitions import OPEN


async def begin_capture(
    books: Books, providers: Providers, amount: Money | None, person: UUID, *, final: bool
) -> OperationRow:
    """Record that what is held, or a part, is to be taken; a `final` one releases the rest.

    Raises:
        PaymentState: nothing is held any more, or this provider captures once only.
        OperationOpen, AmountOutOfRange, AmountExceedsRemaining: as they say.

    """
    payment, held = books.payment, books.winner()
    if held is None or payment.status not in {"requires_capture", "partially_captured"}:
        raise PaymentState(payment_status=payment.status)
    if held.expires_at is not None and held.expires_at <= books.ctx.now():
        raise PaymentState("the authorisation has expired", payment_status=payment.status)
    provider = providers.named(held.provider)
    if provider is None or not (final or provider.capabilities.multicapture):
        raise PaymentState("this provider captures once", payment_status=payment.status)
    left = payment.authorized - payment.captured - payment.capture_pending
    taken = _within(books, amount, left)
    return books.begin("capture", held.attempt_id, held.provider, taken, final=final, initiator=person)


async def begin_refund(books: Books, amount: Money | None, reason: str, person: UUID) -> OperationRow:
    """Record that captured money, or a part, is to be given back, as far as `before_refund` lets it.

    Raises:
        PaymentState: nothing was captured.
        DisputeOpen, OperationOpen, AmountOutOfRange, AmountExceedsRemaining: as they say.
        Problem: whatever an implementation of `before_refund` raises.

    """
    payment, held = books.payment, books.winner()
    if held is None or not payment.captured:
        raise PaymentState(payment_status=payment.status)
    if payment.dispute_status in {"opened", "under_review"}:
        raise DisputeOpen
    left = max(0, payment.captured - payment.refunded - payment.refund_pending - payment.disputed)  # lost: it is back
    draft = await _drafted(books, _within(books, amount, left), reason, surplus=False)
    given = _within(books, draft.amount, left)
    return books.begin("refund", held.attempt_id, held.provider, given, initiator=person, reason=draft.reason)


async def begin_surplus_refund(books: Books, surplus: OperationRow, reason: str) -> OperationRow:
    """Record that money which nobody owes is to go back where it came from: all of it that is left.

    Raises:
        DisputeOpen: its payer's bank is deciding about it.
        OperationOpen, AmountExceedsRemaining: something is in hand, or nothing is left.
        Problem: whatever an implementation of `before_refund` raises.

    """
    of_it = [one for one in books.operations if one.of == surplus.id]
    if any(one.kind == "dispute" and one.state in OPEN for one in of_it):
        raise DisputeOpen
    left = max(0, surplus.amount - sum(one.amount for one in of_it if one.state not in {"failed", "canceled"}))
    draft = await _drafted(books, _within(books, None, left), reason, surplus=True)
    given = _within(books, draft.amount, left)
    made = books.begin(
        "refund", surplus.attempt_id, surplus.provider, given, surplus=True, initiator=surplus.initiator,
        reason=draft.reason,
    )  # fmt: skip
    made.of = surplus.id
    return made


async def _drafted(books: Books, minor: int, reason: str, *, surplus: bool) -> RefundDraft:
    """Ask the hooks; what they make of it is checked like what was asked for."""
    ctx, payment = books.ctx, books.payment
    asked = RefundDraft(
        payment=typeid("pay", payment.id), amount=Money(minor, payment.currency), reason=reason, surplus=surplus
    )
    return await ctx.kit.hooks.pipe(before_refund, asked, ctx)


async def tell_refund(ctx: Context, books: Books, operation: OperationRow, via: Via = "request") -> None:
    """Tell that money is to be given back, and keep the promise in the ledger."""
    await ctx.session.flush()
    await post(books, operation, None)
    await emit(ctx, RefundRequested(**common(books), amount=books.money(operation), operation=operation.id))
    await record(books, "refund.created", operation, via, books.payment.status)


def _within(books: Books, amount: Money | None, left: int) -> int:
    """Return the minor units to move: all that is left where nobody says how much."""
    if books.in_hand() is not None:
        raise OperationOpen
    if amount is not None and amount.currency != books.payment.currency:
        raise Invalid("not the payment's currency", pointer="/amount/currency")
    wanted = left if amount is None else amount.minor
    if wanted <= 0 and amount is not None:
        raise AmountOutOfRange(pointer="/amount/amount")
    if wanted > left or wanted == 0:
        raise AmountExceedsRemaining(remaining=left)
    return wanted
