"""What somebody should hear of again while it lasts: one line in the log for each, every hour, until it is over."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import case, exists, func, select

from corekit.context import Caller, Context
from corekit.watch import get_logger
from corekit_payments.models import OperationRow, PaymentRow, ReconciliationItemRow
from corekit_payments.recon.expiring import HELD
from corekit_payments.recon.rows import ReconciliationRunRow
from corekit_payments.transitions import OPEN

_OPEN_TOO_LONG = timedelta(minutes=15)
_UNKNOWN_TOO_LONG = timedelta(hours=24)
_LAG = timedelta(minutes=5)
_EXPIRES_SOON = timedelta(hours=24)
_URGENT = ("amount", "missing_here")
_RUN_TOO_OLD = timedelta(hours=48)  # the last that saw everything
_FIRST_TOO_OLD = timedelta(days=5)  # what the first one was to see, three days ago then
_DECLINED_MORE, _DECLINED_LEAST = 3, 10  # times the mean of a day; and attempts in an hour, so that a few say nothing
_OP, _ITEM, _RUN = OperationRow, ReconciliationItemRow, ReconciliationRunRow


async def warn_of_open(ctx: Context, instances: Collection[str]) -> None:
    """Tell of amounts that differ, of money and outcomes that nobody knows, and of holds that are about to end."""
    log = get_logger("corekit.payments")
    old = (_ITEM.state == "open") & _ITEM.kind.in_(_URGENT) & (_ITEM.created_at <= ctx.now() - _OPEN_TOO_LONG)
    counted = select(_ITEM.kind, func.count()).where(old).group_by(_ITEM.kind).order_by(_ITEM.kind)
    for kind, count in await ctx.session.execute(counted):
        log.error("payments_mismatches_open", reason=kind, count=count)
    overdue = (_RUN.ended_at <= ctx.now() - _RUN_TOO_OLD) | (
        _RUN.ended_at.is_(None) & (_RUN.since <= ctx.now() - _FIRST_TOO_OLD)
    )
    late = select(_RUN.stream, _RUN.provider).where(overdue, _RUN.provider.in_(instances))
    for stream, provider in await ctx.session.execute(late):
        log.error("payments_reconcile_overdue", reason=f"{stream} of {provider}")
    lost = (_OP.state == "unknown") & (_OP.created_at <= ctx.now() - _UNKNOWN_TOO_LONG)
    soon = (_OP.kind == "authorize") & (_OP.state == "succeeded") & PaymentRow.status.in_(HELD)
    soon &= _OP.expires_at.between(ctx.now(), ctx.now() + _EXPIRES_SOON)
    for name, wrong in (("payments_unknown_too_long", lost), ("payments_holds_expiring", soon)):
        counting = select(func.count()).select_from(_OP).join(PaymentRow, PaymentRow.id == _OP.payment_id).where(wrong)
        if found := await ctx.session.scalar(counting):
            log.error(name, count=found)


async def warn_of_declines(ctx: Context) -> None:
    """Tell of instances that refuse more than three times the usual share: of the last hour's against the day before's.

    Both are told by when their payment was made. What our own rules have blocked says nothing of the provider.
    """
    made, hour = PaymentRow.created_at, ctx.now() - timedelta(hours=1)
    failed = _OP.state == "failed"
    sums = [
        func.sum(case((which & what, 1), else_=0))
        for which in (made > hour, made <= hour)
        for what in (failed, failed | (_OP.state == "succeeded"))
    ]
    ended = (_OP.kind == "authorize") & _OP.state.in_(("failed", "succeeded"))
    ended &= _OP.error_class.is_distinct_from("blocked")
    asked = select(_OP.provider, *sums).join(PaymentRow, PaymentRow.id == _OP.payment_id).group_by(_OP.provider)
    for provider, declined, tried, before, before_tried in await ctx.session.execute(
        asked.where(ended, made > hour - timedelta(days=1))
    ):
        usual = before / before_tried if before_tried else 0.0
        most = min(_DECLINED_MORE * usual, (1 + usual) / 2)  # where many are refused anyway, halfway to all of them
        if declined >= _DECLINED_LEAST and declined / tried > most:
            get_logger("corekit.payments").error("payments_declines_high", reason=provider, count=int(declined))


async def demand_swept(caller: Caller) -> None:
    """Raise where an operation should have been looked at long ago: nobody sweeps (RuntimeError)."""
    async with caller.begin(readonly=True) as ctx:
        free = _OP.lease_until.is_(None) | (_OP.lease_until <= ctx.now())
        sendable = (_OP.state != "created") | _OP.review.is_(None)
        late = (_OP.next_check_at < ctx.now() - _LAG) & _OP.state.in_(OPEN) & free & sendable
        if await ctx.session.scalar(select(exists().where(late))):
            raise RuntimeError("an operation has waited for its look for more than five minutes")
