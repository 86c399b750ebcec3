"""Captures that their provider should have paid out by now, and that no report has named: each is an item, once."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import exists, select, tuple_
from sqlalchemy.orm import aliased

from corekit.context import Context
from corekit.values import typeid
from corekit_payments.books import lock_of
from corekit_payments.items import open_item
from corekit_payments.ledger.rows import LedgerTransactionRow
from corekit_payments.ledger.settlements import is_clearing, named_by_report
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.recon.asking import PAGE, Task

KIND = "never_settled"
_TOLD = (KIND, "amount", "currency", "state", "settlement_unclear")  # somebody has heard of it already
_LOOK_BACK = timedelta(days=31)  # as long as runs may have been missing
_TX, _OP, _ITEM = LedgerTransactionRow, OperationRow, ReconciliationItemRow


class _Taken(msgspec.Struct, frozen=True):
    """A capture in the ledger, and where that is in its order."""

    at: datetime
    tx: UUID
    operation: UUID
    tenant: UUID | None


async def tell_overdue(task: Task) -> None:
    """Open what is missing, once the reports of all days have been read; nothing where the provider has none."""
    if not task.provider.capabilities.settlements:
        return
    until = task.now() - timedelta(seconds=task.settings.recon.settle_within)
    last = (until - _LOOK_BACK, UUID(int=0))
    while True:
        async with task.caller.begin(readonly=True) as ctx:
            page = await _page(ctx, task.provider.name, last, until)
            told = await _told(ctx, task.provider.name, page)
        for one in page:
            if one.operation not in told and await _open(task, one):
                task.count("opened")
        if len(page) < PAGE:
            return
        last = (page[-1].at, page[-1].tx)
        await task.advance(task.run.cursor)


async def _page(ctx: Context, provider: str, last: tuple[datetime, UUID], until: datetime) -> list[_Taken]:
    """List captures that were posted after a place in the ledger, and for which nothing of a report was."""
    report = aliased(_TX)
    wanted = (
        select(_TX.created_at, _TX.id, _OP.id, _OP.tenant)
        .join(_OP, _OP.id == _TX.operation_id)
        .where(_TX.created_at.between(last[0], until), tuple_(_TX.created_at, _TX.id) > last)  # the first has an index
        .where(_TX.kind.in_(("capture", "surplus")))
        .where(_OP.provider.concat("") == provider)  # so that SQLite begins with the time, and not with all of them
        .where(_OP.kind == "capture", _OP.state == "succeeded")
        .where(~exists().where(report.operation_id == _OP.id, named_by_report(report, provider)))
    )
    found = await ctx.session.execute(wanted.order_by(_TX.created_at, _TX.id).limit(PAGE))
    return [_Taken(*row) for row in found]


async def _told(ctx: Context, provider: str, page: list[_Taken]) -> set[UUID]:
    names = {typeid("pop", one.operation): one.operation for one in page}
    known = select(_ITEM.our_ref).where(_ITEM.provider == provider, _ITEM.kind.in_(_TOLD), _ITEM.our_ref.in_(names))
    return {names[ref] for ref in await ctx.session.scalars(known)}


async def _open(task: Task, taken: _Taken) -> bool:
    async with replace(task.caller, tenant=taken.tenant).begin() as ctx:
        books = await lock_of(ctx, taken.operation)
        op = books.operation(taken.operation)
        if not await is_clearing(ctx, op.id, op.provider, books.payment.currency):
            return False  # in another chart of accounts
        return await open_item(books, op, KIND, op.provider_ref, None, None)
