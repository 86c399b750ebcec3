"""One object of a provider's against our books: what differs is repaired forward, or told to a person."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from corekit.context import Context
from corekit.contracts.payments import Evidence
from corekit_payments.applying import apply
from corekit_payments.books import Books, lock_of
from corekit_payments.items import close_item, open_item
from corekit_payments.models import OperationRow
from corekit_payments.transitions import FINAL, OPEN, verdict

Found = Literal["agreed", "later", "repaired", "opened", "known"]
"""`later` is what the driver, or the next run, will see; `known` a difference that was told before, or waits."""

_Difference = Literal["none", "later", "forward", "captured", "backward"]


async def compare(ctx: Context, operation: UUID, shown: Evidence, asked_at: datetime) -> Found:
    """Hold an operation against what its provider has listed, or shown, after `asked_at`."""
    books = await lock_of(ctx, operation)
    op = books.operation(operation)
    if (wrong := _wrong(books, op, shown)) is not None:
        return _told(await open_item(books, op, wrong, shown.provider_ref, shown.amount, shown.state))
    differs = _differs(books, op, shown, asked_at)
    if differs == "forward":
        return await _repair(books, op, shown)
    if differs == "captured":
        return _told(await open_item(books, op, "amount", shown.provider_ref, shown.captured, shown.state))
    if differs == "backward":
        kind = "refund_returned" if op.kind == "refund" and shown.state in FINAL else "state"
        return _told(await open_item(books, op, kind, shown.provider_ref, shown.amount, shown.state))
    if differs == "none":
        for one in _named(books, op, shown):
            one.reconciled_at = one.reconciled_at or ctx.now()
    return "agreed" if differs == "none" else "later"


async def _repair(books: Books, op: OperationRow, shown: Evidence) -> Found:
    """Let evidence do what it does from anywhere; what had ended otherwise here leaves an item that is resolved."""
    ended, ctx = op.state in FINAL - {"succeeded"}, books.ctx
    if ended:
        await open_item(books, op, "state", shown.provider_ref, shown.amount, shown.state)
    done = await apply(ctx, op.id, shown, via="reconciliation")
    if done.outcome == "refused":
        return "known"
    if ended:
        await close_item(books, op, "state", "it was applied")
    return "repaired"


def _wrong(books: Books, op: OperationRow, shown: Evidence) -> str | None:
    """Name what no evidence may change: the amount, or the object that has moved it."""
    if shown.amount is not None and shown.amount != books.money(op):
        return "amount" if shown.amount.currency == books.payment.currency else "currency"
    refs = (op.provider_ref, shown.provider_ref)
    both = None not in refs and op.state == shown.state == "succeeded"
    return "reference" if both and op.provider_ref != shown.provider_ref else None


def _differs(books: Books, op: OperationRow, shown: Evidence, asked_at: datetime) -> _Difference:
    if verdict(op.kind, op.state, shown) in {"advance", "late"} or _expired(books, op, shown):
        return "forward"
    if op.state != "succeeded":
        return "later" if op.state in OPEN else "none"
    if shown.state == "succeeded":
        return _captured(books, op, shown)
    if op.updated_at >= asked_at or shown.state == "unknown":
        return "later"
    return "none" if _released(books, op) else "backward"


def _captured(books: Books, op: OperationRow, shown: Evidence) -> _Difference:
    """Compare what an authorisation has captured with the captures that our books have of it."""
    if op.kind != "authorize" or shown.captured is None:
        return "none"
    of_it = [one for one in books.operations if one.kind == "capture" and one.attempt_id == op.attempt_id]
    if any(one.state in OPEN for one in of_it):
        return "later"
    if sum(one.amount for one in of_it if one.state == "succeeded") == shown.captured.minor:
        return "none"
    return "forward" if not of_it and shown.captured == books.money(op) else "captured"


def _expired(books: Books, op: OperationRow, shown: Evidence) -> bool:
    """Tell whether a hold is over at the provider, of which nothing was taken."""
    of_it = [one for one in books.operations if one.kind == "capture" and one.attempt_id == op.attempt_id]
    taken = any(one.state == "succeeded" for one in of_it)
    held = op.kind == "authorize" and op.state == "succeeded" and not op.released and not taken
    return held and shown.state == "canceled"


def _released(books: Books, op: OperationRow) -> bool:
    """Tell whether an authorisation is over because we have released it, are about to, or know that it is."""
    of_it = [one for one in books.operations if one.kind == "void" and one.attempt_id == op.attempt_id]
    return op.kind == "authorize" and (op.released or any(one.state in OPEN | {"succeeded"} for one in of_it))


def _named(books: Books, op: OperationRow, shown: Evidence) -> list[OperationRow]:
    """Return the operation, and those that succeeded under the same name: a capture that came along."""
    same = [one for one in books.operations if one.provider == op.provider and one.provider_ref == shown.provider_ref]
    return [op, *(one for one in same if one is not op and one.kind != "dispute" and one.state == "succeeded")]


def _told(opened: bool) -> Found:
    return "opened" if opened else "known"
