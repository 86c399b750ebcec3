"""Which operations a page of a provider's list is about, and those among them that are as they should be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import aliased

from corekit.context import Context
from corekit.contracts.payments import Evidence, OperationKind, OperationState
from corekit.values import Money
from corekit_payments.models import OperationRow, PaymentRow

_OP = OperationRow


@dataclass(frozen=True)
class Known:
    """An operation as it was read: `taken` is what captures of its attempt took, `marked` that it agreed before."""

    id: UUID
    ref: str | None
    tenant: UUID | None
    kind: OperationKind
    state: OperationState
    money: Money
    taken: int
    marked: bool

    def agrees(self, shown: Evidence) -> bool:
        """Tell whether nothing about it can differ: it has moved its money here as there, and all of it is known."""
        if not (self.state == shown.state == "succeeded"):
            return False
        if (shown.provider_ref, shown.amount) != (self.ref, self.money):
            return False
        return self.kind != "authorize" or shown.captured in {None, Money(self.taken, self.money.currency)}


async def known_of(ctx: Context, provider: str, page: Sequence[Evidence]) -> dict[str, Known]:
    """Find the operations of a page by the names of theirs, and by our references, of which each begins with #.

    A name may be an authorisation's and those of what followed from it; the first is what it stands for.
    """
    refs = [one.provider_ref for one in page if one.provider_ref]
    ours = [one.reference for one in page if one.reference]
    capture = aliased(_OP)
    taken = select(func.coalesce(func.sum(capture.amount), 0)).where(
        capture.payment_id == _OP.payment_id,  # it has an index
        capture.attempt_id == _OP.attempt_id,
        capture.kind == "capture",
        capture.state == "succeeded",
    )
    columns = (_OP.id, _OP.tenant, _OP.kind, _OP.state, _OP.amount, _OP.provider_ref, _OP.reference, _OP.reconciled_at)
    wanted = select(*columns, PaymentRow.currency, taken.scalar_subquery().label("taken"))
    wanted = wanted.join(PaymentRow, PaymentRow.id == _OP.payment_id).order_by(_OP.seq)
    named = or_(_OP.provider_ref.in_(refs), _OP.reference.in_(ours))
    found: dict[str, Known] = {}
    for row in await ctx.session.execute(wanted.where(_OP.provider == provider, named, _OP.kind != "dispute")):
        money, taken_, marked = Money(row.amount, row.currency), int(row.taken), row.reconciled_at is not None
        one = Known(row.id, row.provider_ref, row.tenant, row.kind, row.state, money, taken_, marked)
        for name in (row.provider_ref, f"#{row.reference}"):
            if name is not None:
                found.setdefault(name, one)
    return found


def find(known: dict[str, Known], shown: Evidence) -> Known | None:
    """Pick the operation that an object is of."""
    by_name = known.get(shown.provider_ref) if shown.provider_ref is not None else None
    return by_name or (known.get(f"#{shown.reference}") if shown.reference is not None else None)


async def mark(ctx: Context, provider: str, refs: Collection[str]) -> None:
    """Keep that what has moved money under these names was found; what somebody holds just now is the next run's."""
    mine = (_OP.provider == provider) & _OP.provider_ref.in_(refs) & (_OP.kind != "dispute")
    mine &= (_OP.state == "succeeded") & _OP.reconciled_at.is_(None)
    free = list(
        await ctx.session.scalars(select(_OP.id).where(mine).order_by(_OP.id).with_for_update(skip_locked=True))
    )
    marked = update(_OP).where(_OP.id.in_(free)).values(reconciled_at=ctx.now())
    await ctx.session.execute(marked, execution_options={"synchronize_session": False})
