"""Review: a person looks at what our own rules have held back, and lets it go or ends it."""

from corekit.context import Context
from corekit.contracts.payments import Evidence, Payment, PaymentReviewed, Verdict
from corekit.errors import Invalid
from corekit.events import emit
from corekit_payments import reading
from corekit_payments.applying import apply
from corekit_payments.books import Books, demand_purpose, lock
from corekit_payments.checks import refuse_card_numbers
from corekit_payments.errors import PaymentState
from corekit_payments.models import OperationRow
from corekit_payments.rights import REVIEW, demand_permission
from corekit_payments.telling import common, record_request

REASON_MIN, REASON_MAX = 10, 500  # characters that a person has to give


async def review(ctx: Context, payment: str, verdict: Verdict, reason: str) -> Payment:
    """Let what is held back be sent, or refuse it for good.

    Raises:
        Invalid, CardNumberRefused: of the reason.
        NotFound, Refused: it is not theirs to see, or to review.
        PaymentState: our rules have held nothing back. What is unknown at a provider is ended by evidence alone.

    """
    demand_purpose(ctx)
    demand_reason(reason)
    books = await lock(ctx, reading.parsed(payment))
    demand_permission(books, REVIEW)
    op, before = _held_back(books), books.payment.status
    if verdict == "accept":
        op.review, op.next_check_at, op.updated_at = None, ctx.now(), ctx.now()
        books.settle_columns()
        books.changed()
        await ctx.session.flush()
    else:
        blocked = Evidence(source="local", state="failed", occurred_at=ctx.now(), error_class="blocked")
        await apply(ctx, op.id, blocked, via="operator")
    await emit(ctx, PaymentReviewed(**common(books), amount=books.money(op), operation=op.id, verdict=verdict))
    await record_request(
        books, "payment.reviewed", via="operator", verdict=verdict, reason=reason, before=before,
        after=books.payment.status,
    )  # fmt: skip
    return await reading.read(ctx, books.payment.id)


def demand_reason(reason: str) -> None:
    """Refuse what is no reason: whoever reads the audit later has nothing else (Invalid, CardNumberRefused)."""
    if not REASON_MIN <= len(reason.strip()) <= len(reason) <= REASON_MAX or "\x00" in reason:
        raise Invalid(f"from {REASON_MIN} to {REASON_MAX} characters", pointer="/reason")
    refuse_card_numbers({"reason": reason})


def demand_not_held_back(books: Books) -> None:
    """Refuse another attempt beside one that a person has to look at first (PaymentState)."""
    if any(_waits(one) for one in books.operations):
        raise PaymentState("it waits for a review", payment_status=books.payment.status)


def _held_back(books: Books) -> OperationRow:
    found = next((one for one in books.operations if _waits(one)), None)
    if found is None:
        raise PaymentState("nothing waits for a review", payment_status=books.payment.status)
    return found


def _waits(operation: OperationRow) -> bool:
    return operation.state == "created" and operation.review == "fraud"
