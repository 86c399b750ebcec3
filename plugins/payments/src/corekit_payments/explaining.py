"""Money that was booked as nobody's, and turns out to be an operation's: it is taken back, and nobody has to look."""

from collections.abc import Mapping

from sqlalchemy import Select, exists, select

from corekit.context import Context
from corekit.contracts.payments import OperationKind
from corekit_payments.ledger.posting import Unmatched, is_unmatched, reverse_unmatched
from corekit_payments.models import OperationRow, ReconciliationItemRow

MISSING_HERE = "missing_here"
UNMATCHED: Mapping[OperationKind, Unmatched] = {"capture": "unmatched", "refund": "unmatched_refund"}
_OP, _ROW = OperationRow, ReconciliationItemRow


async def explain(ctx: Context, operation: OperationRow) -> None:
    """Take back what was booked apart under the name of an operation that has moved money, and resolve its item.

    For each that has just succeeded, or has just got its name: whichever of the two sides was seen first, the money is
    booked once. One look-up where there is nothing to take back.
    """
    kind, ref = UNMATCHED.get(operation.kind), operation.provider_ref
    if kind is None or ref is None or not await is_unmatched(ctx, operation.provider, ref, kind):
        return
    item = await ctx.session.scalar(item_of(operation.provider, ref))
    await reverse_unmatched(ctx, operation.provider, ref, kind)
    if item is not None:
        resolve(ctx, item)


def item_of(provider: str, ref: str) -> Select[ReconciliationItemRow]:
    """Ask for the item of what a provider calls so, and lock it: it is locked before anything is posted for it."""
    same = (_ROW.kind == MISSING_HERE) & (_ROW.provider == provider) & (_ROW.our_ref == "") & (_ROW.their_ref == ref)
    return select(_ROW).where(same).with_for_update().execution_options(populate_existing=True)


def resolve(ctx: Context, item: ReconciliationItemRow) -> None:
    """Resolve an item by evidence, unless a person has."""
    if item.state != "resolved":
        item.state, item.reason, item.resolved_at = "resolved", "it has come up since", ctx.now()


async def explained(ctx: Context, provider: str, ref: str, kind: Unmatched) -> bool:
    """Tell whether an operation of ours has moved the money of what a provider calls so."""
    ours = _OP.kind.in_([one for one, name in UNMATCHED.items() if name == kind]) & (_OP.state == "succeeded")
    known = exists().where((_OP.provider == provider) & (_OP.provider_ref == ref) & ours)
    return bool(await ctx.session.scalar(select(known)))
