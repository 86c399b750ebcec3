"""What waited for an explanation, and has one: it is told to nobody."""

from sqlalchemy import select

from corekit.context import Context
from corekit.values import parse_id
from corekit_payments.models import OperationRow, ReconciliationItemRow

_KINDS = ("missing_here", "missing_there")


async def tidy(ctx: Context, provider: str) -> int:
    """Resolve what is parked of an instance and has come up at the other side; return how many that were."""
    row = ReconciliationItemRow
    parked = (row.provider == provider) & (row.state == "parked") & row.kind.in_(_KINDS)
    count = 0
    for item in await ctx.session.scalars(select(row).where(parked)):
        if await _explained(ctx, item):
            item.state, item.reason, item.resolved_at = "resolved", "it has come up since", ctx.now()
            count += 1
    return count


async def _explained(ctx: Context, item: ReconciliationItemRow) -> bool:
    op = OperationRow
    if item.kind == "missing_here":
        known = (op.provider == item.provider) & (op.provider_ref == item.their_ref)
    else:
        known = (op.id == parse_id("pop", item.our_ref)) & op.reconciled_at.is_not(None)
    return await ctx.session.scalar(select(op.id).where(known).limit(1)) is not None
