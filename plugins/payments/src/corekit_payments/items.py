"""Differences between our books and a provider's: each is one row, told once, for a person to resolve."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Select, select

from corekit.contracts.audit import Audit, Target
from corekit.contracts.payments import MismatchOpened, OperationState
from corekit.events import emit
from corekit.values import Money, typeid, uuid7
from corekit.watch import get_logger
from corekit_payments.books import Books
from corekit_payments.models import OperationRow, ReconciliationItemRow


async def open_item(
    books: Books,
    operation: OperationRow,
    kind: str,
    ref: str | None,
    amount: Money | None,
    state: OperationState | None,
    *,
    park: timedelta = timedelta(),
) -> bool:
    """Open one, unless the same is open or was resolved already; the payment's lock keeps two from doing it.

    `ref`, `amount` and `state` are the provider's side of it; no state where it has nothing. What is seen for the first
    time waits `park` for an explanation. Tell whether it was opened now.
    """
    ctx, payment = books.ctx, books.payment
    their_ref = ref or ""
    known = await ctx.session.scalar(_of(operation, kind).where(ReconciliationItemRow.their_ref == their_ref))
    item = known or ReconciliationItemRow(
        id=uuid7(), tenant=payment.tenant, kind=kind, provider=operation.provider,
        our_ref=typeid("pop", operation.id), their_ref=their_ref, ours=_side(operation.state, books.money(operation)),
        theirs={} if state is None else _side(state, amount), state="parked", reason="", created_at=ctx.now(),
    )  # fmt: skip
    ctx.session.add(item)
    if not ripe(item, ctx.now(), park):
        return False
    item.state = "open"
    await _tell(books, operation, kind, item.id)
    return True


def ripe(item: ReconciliationItemRow, now: datetime, park: timedelta) -> bool:
    """Tell whether an item has waited for its explanation, and nobody was told yet."""
    return item.state == "parked" and item.created_at + park <= now


async def close_item(books: Books, operation: OperationRow, kind: str, reason: str) -> None:
    """Resolve what is open of this kind, where what came later explains it."""
    for item in await books.ctx.session.scalars(_of(operation, kind).where(ReconciliationItemRow.state != "resolved")):
        item.state, item.reason, item.resolved_at = "resolved", reason, books.ctx.now()


async def close_returned(books: Books, surplus: UUID) -> None:
    """Resolve a surplus of which all has gone back where it came from, with the attempt that brought it."""
    for one in _brought(books, surplus):
        await close_item(books, one, "surplus", "it has gone back")


async def open_unreturned(books: Books, taken: OperationRow, operation: OperationRow) -> None:
    """Tell of a surplus, `taken`, whose refund or dispute came to nothing, unless somebody has an open item of it."""
    for one in _brought(books, taken.id):
        standing = _of(one, "surplus").where(ReconciliationItemRow.state != "resolved")
        if await books.ctx.session.scalar(standing.limit(1)) is not None:
            return
    ref = typeid("pop", operation.id)
    await open_item(books, taken, "surplus", ref, books.money(operation), operation.state)


def _brought(books: Books, surplus: UUID) -> list[OperationRow]:
    """Return the operations whose items tell of a surplus: what took it, and the attempt that it was taken of."""
    taken = books.operation(surplus)
    held = [one for one in books.operations if one.kind == "authorize" and one.attempt_id == taken.attempt_id]
    return [taken, *held]


def _of(operation: OperationRow, kind: str) -> Select[ReconciliationItemRow]:
    return select(ReconciliationItemRow).where(
        ReconciliationItemRow.kind == kind,
        ReconciliationItemRow.provider == operation.provider,
        ReconciliationItemRow.our_ref == typeid("pop", operation.id),
    )


async def _tell(books: Books, operation: OperationRow, kind: str, item: UUID) -> None:
    ctx, payment = books.ctx, books.payment
    opened = MismatchOpened(
        item=item, kind=kind, payment=payment.id, operation=operation.id, provider=operation.provider
    )
    await emit(ctx, opened)
    details = {"item": str(item), "kind": kind, "operation": typeid("pop", operation.id)}
    target = Target("payment", payment.id)
    await ctx.get(Audit).record(ctx, "payments.recon.opened", target=target, details=details, actor=operation.initiator)
    get_logger("corekit.payments").error("payments_mismatch_opened", reason=kind)


def _side(state: OperationState, money: Money | None) -> dict[str, object]:
    return {"state": state, "amount": msgspec.to_builtins(money)}
