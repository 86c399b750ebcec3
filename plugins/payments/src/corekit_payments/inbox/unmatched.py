"""Notices of what is no operation of ours: money that moved is booked to `suspense`, and a person is told."""

from datetime import timedelta

import msgspec

from corekit.context import Context
from corekit.contracts.audit import Audit
from corekit.contracts.payments import Evidence, MismatchOpened
from corekit.events import emit
from corekit.values import Money, uuid7
from corekit.watch import get_logger
from corekit_payments.explaining import MISSING_HERE, explained, item_of
from corekit_payments.items import ripe
from corekit_payments.ledger.posting import Unmatched, post_unmatched
from corekit_payments.models import ReconciliationItemRow


async def book_unmatched(
    ctx: Context, provider: str, their_ref: str, shown: Evidence | None, *, park: timedelta = timedelta()
) -> bool:
    """Open an item `missing_here` for an object of a provider's, once, and book what it moved, once.

    What it moved is what its evidence says was captured, or given back; nothing where there is no evidence. With `park`
    both wait, from the first time that it is seen. Tell whether the item was opened now. Of two who do this at once one
    fails, and finds it done when it comes again. Where an operation has moved the money meanwhile there is nothing to
    book.
    """
    known = await ctx.session.scalar(item_of(provider, their_ref))
    moved = _moved(shown)
    if moved is not None and await explained(ctx, provider, their_ref, moved[0]):
        return False
    item = known or ReconciliationItemRow(
        id=uuid7(), tenant=ctx.tenant, kind=MISSING_HERE, provider=provider, our_ref="", their_ref=their_ref, ours={},
        theirs={} if shown is None else {"state": shown.state, "amount": msgspec.to_builtins(shown.amount)},
        state="parked", reason="", created_at=ctx.now(),
    )  # fmt: skip
    ctx.session.add(item)
    opens = ripe(item, ctx.now(), park)
    if moved is not None and (opens or item.state != "parked"):
        await post_unmatched(ctx, provider, their_ref, *moved)
    if opens:
        item.state = "open"
        await _tell(ctx, provider, item)
    return opens


def _moved(shown: Evidence | None) -> tuple[Unmatched, Money] | None:
    if shown is not None and shown.captured is not None and shown.captured.minor:
        return "unmatched", shown.captured
    if shown is not None and shown.refunded is not None and shown.refunded.minor:
        return "unmatched_refund", shown.refunded
    return None


async def _tell(ctx: Context, provider: str, item: ReconciliationItemRow) -> None:
    await emit(ctx, MismatchOpened(item=item.id, kind=MISSING_HERE, payment=None, operation=None, provider=provider))
    await ctx.get(Audit).record(ctx, "payments.recon.opened", details={"item": str(item.id), "kind": MISSING_HERE})
    get_logger("corekit.payments").error("payments_mismatch_opened", reason=MISSING_HERE)
