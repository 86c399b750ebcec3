"""Surplus that goes back by itself, where the operator has said so: money that was taken and that nobody owes."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from corekit.errors import Problem
from corekit.watch import get_logger
from corekit_payments.books import lock_of
from corekit_payments.holding import Holding
from corekit_payments.models import OperationRow
from corekit_payments.moving import begin_surplus_refund, tell_refund

_AT_ONCE = 32
_REST = timedelta(hours=1)  # until what was refused is tried again


class SurplusRefunds:
    """Begins the refund of each surplus once; what becomes of it is the driver's, and a failed one a person's."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._rests: dict[UUID, datetime] = {}  # what was refused, and until when it is let alone

    async def sweep(self) -> int:
        """Begin what is due, each in a transaction of its own; return how many that were."""
        now = self._holding.now()
        self._rests = {id_: until for id_, until in self._rests.items() if until > now}
        return sum([await self._begin(id_, tenant) for id_, tenant in await self._due()])

    async def _due(self) -> list[tuple[UUID, UUID | None]]:
        refund = aliased(OperationRow)
        begun = exists().where(refund.of == OperationRow.id, refund.kind == "refund")
        taken = OperationRow.surplus & (OperationRow.kind == "capture") & (OperationRow.state == "succeeded")
        chosen = select(OperationRow.id, OperationRow.tenant).where(taken, ~begun, OperationRow.id.not_in(self._rests))
        async with self._holding.caller(None).begin(readonly=True) as ctx:
            rows = await ctx.session.execute(chosen.order_by(OperationRow.id).limit(_AT_ONCE))
            return [(row.id, row.tenant) for row in rows]

    async def _begin(self, operation: UUID, tenant: UUID | None) -> bool:
        try:
            async with self._holding.caller(tenant).begin() as ctx:
                books = await lock_of(ctx, operation)
                surplus = books.operation(operation)
                begun = any(one.of == operation and one.kind == "refund" for one in books.operations)
                if begun or not surplus.surplus or books.in_hand() is not None:
                    return False
                refund = await begin_surplus_refund(books, surplus, "surplus")
                books.settle_columns()
                books.changed()
                await tell_refund(ctx, books, refund, "sweeper")
                return True
        except Problem as why:
            self._rests[operation] = self._holding.now() + _REST
            get_logger("corekit.payments").warning("payments_surplus_kept", reason=why.slug)
            return False
