"""What waited for an explanation, and has one: it is told to nobody; what was told already is taken back."""

from uuid import UUID

from sqlalchemy import Select, and_, exists, or_, select

from corekit.context import Caller, Context
from corekit.values import parse_id
from corekit_payments.explaining import MISSING_HERE, UNMATCHED, explain, resolve
from corekit_payments.models import OperationRow, ReconciliationItemRow

_BATCH = 200  # items that one transaction looks at
_OP, _ROW = OperationRow, ReconciliationItemRow


async def tidy(caller: Caller, provider: str) -> None:
    """Resolve what is parked of an instance and has come up at the other side, in transactions of some items each.

    So are those open ones whose money an operation has moved: when both sides were written at one time neither has seen
    the other, and the money was booked twice. What somebody holds just now is the next run's.
    """
    after: UUID | None = None
    while True:
        async with caller.begin() as ctx:
            items = (await ctx.session.scalars(_waiting(provider, after))).all()
            for item in items:
                if await _explained(ctx, item):
                    resolve(ctx, item)
            if len(items) < _BATCH:
                return
            after = items[-1].id


def _waiting(provider: str, after: UUID | None) -> Select[ReconciliationItemRow]:
    moved = or_(_OP.kind == "dispute", and_(_OP.kind.in_(UNMATCHED), _OP.state == "succeeded"))
    ours = exists().where(_OP.provider == provider, _OP.provider_ref == _ROW.their_ref, moved)
    parked = (_ROW.state == "parked") & _ROW.kind.in_([MISSING_HERE, "missing_there"])
    told = (_ROW.state == "open") & (_ROW.kind == MISSING_HERE) & ours
    wanted = select(_ROW).where(_ROW.provider == provider, or_(parked, told)).order_by(_ROW.id).limit(_BATCH)
    wanted = wanted if after is None else wanted.where(_ROW.id > after)
    return wanted.with_for_update(skip_locked=True).execution_options(populate_existing=True)


async def _explained(ctx: Context, item: ReconciliationItemRow) -> bool:
    if item.kind == "missing_there":
        known = (_OP.id == parse_id("pop", item.our_ref)) & _OP.reconciled_at.is_not(None)
        return await ctx.session.scalar(select(_OP.id).where(known)) is not None
    named = select(_OP).where(_OP.provider == item.provider, _OP.provider_ref == item.their_ref)
    operations = (await ctx.session.scalars(named)).all()
    for one in operations:
        if one.state == "succeeded":
            await explain(ctx, one)
    return bool(operations)
