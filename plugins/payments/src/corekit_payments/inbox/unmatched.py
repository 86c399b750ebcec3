"""Notices of what is no operation of ours: money that moved is booked to `suspense`, and a person is told."""

from datetime import timedelta

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.audit import Audit
from corekit.contracts.payments import Evidence, MismatchOpened
from corekit.events import emit
from corekit.values import uuid7
from corekit.watch import get_logger
from corekit_payments.items import ripe
from corekit_payments.ledger import post_unmatched
from corekit_payments.models import ReconciliationItemRow

KIND = "missing_here"


async def book_unmatched(
    ctx: Context, provider: str, their_ref: str, shown: Evidence | None, *, park: timedelta = timedelta()
) -> bool:
    """Open an item `missing_here` for an object of a provider's, once, and book what it moved, once.

    What it moved is what its evidence says was captured, or given back; nothing where there is no evidence. With `park`
    both wait, from the first time that it is seen. Tell whether the item was opened now. Of two who do this at once one
    fails, and finds it done when it comes again.
    """
    row = ReconciliationItemRow
    same = (row.kind == KIND) & (row.provider == provider) & (row.our_ref == "") & (row.their_ref == their_ref)
    known = await ctx.session.scalar(select(row).where(same))
    item = known or row(
        id=uuid7(), tenant=ctx.tenant, kind=KIND, provider=provider, our_ref="", their_ref=their_ref, ours={},
        theirs={} if shown is None else {"state": shown.state, "amount": msgspec.to_builtins(shown.amount)},
        state="parked", reason="", created_at=ctx.now(),
    )  # fmt: skip
    ctx.session.add(item)
    opens = ripe(item, ctx.now(), park)
    if opens or item.state != "parked":
        await _post(ctx, provider, their_ref, shown)
    if opens:
        item.state = "open"
        await _tell(ctx, provider, item)
    return opens


async def _post(ctx: Context, provider: str, their_ref: str, shown: Evidence | None) -> None:
    if shown is not None and shown.captured is not None and shown.captured.minor:
        await post_unmatched(ctx, provider, their_ref, "unmatched", shown.captured)
    elif shown is not None and shown.refunded is not None and shown.refunded.minor:
        await post_unmatched(ctx, provider, their_ref, "unmatched_refund", shown.refunded)


async def _tell(ctx: Context, provider: str, item: ReconciliationItemRow) -> None:
    await emit(ctx, MismatchOpened(item=item.id, kind=KIND, payment=None, operation=None, provider=provider))
    await ctx.get(Audit).record(ctx, "payments.recon.opened", details={"item": str(item.id), "kind": KIND})
    get_logger("corekit.payments").error("payments_mismatch_opened", reason=KIND)
