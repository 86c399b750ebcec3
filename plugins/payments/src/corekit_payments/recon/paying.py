"""One line of a provider's report: it is booked where it agrees with our books, else a person is told."""

from uuid import UUID

from corekit.context import Context
from corekit.contracts.payments import Evidence, SettlementRow
from corekit.values import Money
from corekit_payments.books import Books, lock_of
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.items import close_item, open_item
from corekit_payments.ledger import payable_of
from corekit_payments.ledger.settlements import has, is_clearing, post_fee, post_settlement
from corekit_payments.models import OperationRow
from corekit_payments.recon.overdue import NEVER_SETTLED
from corekit_payments.transitions import OPEN


async def pay_out(ctx: Context, provider: str, source: str, row: SettlementRow, operation: UUID) -> str:
    """Book what has reached the bank for an operation, and its fee where that was not known; say what came of it.

    The amount has to be the operation's. A fee that differs from the one that was known is told, and the money that
    arrived is booked all the same. Where what the line names is of another kind, it has to be clear which is meant.
    """
    books = await lock_of(ctx, operation)
    named = books.operation(operation)
    op = named if named.kind == row.kind else await _meant(books, named, row)
    if op is None:
        if named.state in OPEN:
            return "later"
        opened = await open_item(books, named, "settlement_unclear", row.id, row.amount, named.state)
        return "opened" if opened else "known"
    if op.kind != "dispute" and op.state in OPEN:
        return "later"
    await close_item(books, op, NEVER_SETTLED, "a report names it")
    wrong = await _wrong(books, op, row)
    if wrong is not None:
        opened = await open_item(books, op, wrong, row.provider_ref, row.amount, op.state)
        return "opened" if opened else "known"
    if not await is_clearing(ctx, op.id, provider, books.payment.currency):
        return "in another chart"
    fee = await _fee(books, op, row, source)
    gone = op.kind == "refund" or (op.kind == "dispute" and row.amount.minor < 0)
    arrived = (-op.amount if gone else op.amount) - fee
    await post_settlement(ctx, provider, source, op.id, Money(arrived, books.payment.currency))
    return "settled"


async def pay_out_unknown(ctx: Context, provider: str, source: str, row: SettlementRow) -> str:
    """Book what nobody here has asked for: money apart, as a notice of it would be, and the provider's own fees."""
    if row.kind == "fee":
        await post_fee(ctx, provider, source, None, "fees", Money(-row.amount.minor, row.amount.currency), None)
        await post_settlement(ctx, provider, source, None, row.amount)  # accounts are made in this order everywhere
        return "settled"
    their_ref, moved = row.provider_ref or row.id, row.amount if row.amount.minor > 0 else None
    shown = Evidence(
        source="fetched", state="succeeded", occurred_at=row.settled_at, provider_ref=their_ref, amount=row.amount,
        captured=moved if row.kind == "capture" else None, refunded=moved if row.kind == "refund" else None,
    )  # fmt: skip
    opened = await book_unmatched(ctx, provider, their_ref, shown)
    if row.kind != "dispute" and moved is not None:
        await _arrive(ctx, provider, source, row)
    return "opened" if opened else "known"


async def _arrive(ctx: Context, provider: str, source: str, row: SettlementRow) -> None:
    fee = row.fee if row.fee is not None and row.fee.currency == row.amount.currency else None
    kept = 0 if fee is None else max(0, fee.minor)
    if fee is not None and kept:
        await post_fee(ctx, provider, source, None, "fees", fee, row.tax)
    arrived = (-row.amount.minor if row.kind == "refund" else row.amount.minor) - kept
    await post_settlement(ctx, provider, source, None, Money(arrived, row.amount.currency))


async def _meant(books: Books, named: OperationRow, row: SettlementRow) -> OperationRow | None:
    """Pick the capture of a hold that a line is of, where the line names the hold: the one of its amount.

    Of several of one amount it is the last that was not settled; None where that leaves a choice.
    """
    if row.kind != "capture" or named.kind != "authorize":
        return None
    fits = [
        one
        for one in books.operations
        if one.kind == "capture" and one.attempt_id == named.attempt_id and books.money(one) == row.amount
        if one.state == "succeeded" or one.state in OPEN
    ]
    if len(fits) > 1:
        fits = [one for one in fits if not await has(books.ctx, one.id, "settlement")]
    return fits[0] if len(fits) == 1 else None


async def _wrong(books: Books, op: OperationRow, row: SettlementRow) -> str | None:
    """Name what keeps a line from being booked."""
    ours, theirs = books.money(op), row.amount
    if theirs.currency != ours.currency or (row.fee is not None and row.fee.currency != ours.currency):
        return "currency"
    if (abs(theirs.minor) if op.kind == "dispute" else theirs.minor) != ours.minor:
        return "amount"
    if op.kind == "dispute":
        return None  # taken, and brought back where it is won
    if op.state != "succeeded":
        return "state"
    return "settled_twice" if await has(books.ctx, op.id, "settlement") else None


async def _fee(books: Books, op: OperationRow, row: SettlementRow, source: str) -> int:
    """Return what the provider has kept of a line; it is posted unless it was before."""
    fee = row.fee
    if fee is None and op.kind == "dispute":
        return 0
    if fee is None:
        return op.fee or 0 if await has(books.ctx, op.id, "fee") else 0
    known = op.fee if op.kind != "dispute" and await has(books.ctx, op.id, "fee") else None
    if fee.minor < 0 or (known is not None and known != fee.minor):
        await open_item(books, op, "settlement_fee", row.id, fee, op.state)
    elif known is None and fee.minor > 0:
        op.fee = fee.minor
        await books.ctx.session.flush()
        bearer = "fees" if op.surplus else payable_of(books)
        await post_fee(books.ctx, op.provider, source, op.id, bearer, fee, row.tax)
    return fee.minor
