"""What somebody should hear of again while it lasts: one line in the log for each, every hour, until it is over."""

from datetime import timedelta

from sqlalchemy import exists, func, select

from corekit.context import Caller, Context
from corekit.watch import get_logger
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.transitions import OPEN

_OPEN_TOO_LONG = timedelta(minutes=15)
_UNKNOWN_TOO_LONG = timedelta(hours=24)
_LAG = timedelta(minutes=5)
_URGENT = ("amount", "missing_here")
_OP, _ITEM = OperationRow, ReconciliationItemRow


async def warn_of_open(ctx: Context) -> None:
    """Tell of amounts that differ and money that nobody knows, and of what nobody knows the outcome of for a day."""
    log = get_logger("corekit.payments")
    old = (_ITEM.state == "open") & _ITEM.kind.in_(_URGENT) & (_ITEM.created_at <= ctx.now() - _OPEN_TOO_LONG)
    counted = select(_ITEM.kind, func.count()).where(old).group_by(_ITEM.kind).order_by(_ITEM.kind)
    for kind, count in await ctx.session.execute(counted):
        log.error("payments_mismatches_open", reason=kind, count=count)
    lost = (_OP.state == "unknown") & (_OP.created_at <= ctx.now() - _UNKNOWN_TOO_LONG)
    if count := await ctx.session.scalar(select(func.count()).select_from(_OP).where(lost)):
        log.error("payments_unknown_too_long", count=count)


async def demand_swept(caller: Caller) -> None:
    """Raise where an operation should have been looked at long ago: nobody sweeps (RuntimeError)."""
    async with caller.begin(readonly=True) as ctx:
        free = _OP.lease_until.is_(None) | (_OP.lease_until <= ctx.now())
        sendable = (_OP.state != "created") | _OP.review.is_(None)
        late = (_OP.next_check_at < ctx.now() - _LAG) & _OP.state.in_(OPEN) & free & sendable
        if await ctx.session.scalar(select(exists().where(late))):
            raise RuntimeError("an operation has waited for its look for more than five minutes")
