"""Captures that their provider should have paid out by now, and that no report has named: each is an item, once."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, exists, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from corekit.context import Context
from corekit.values import typeid
from corekit_payments.books import lock_of
from corekit_payments.items import open_item
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow
from corekit_payments.ledger.settlements import named_by_report
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.recon.asking import PAGE, Task

NEVER_SETTLED = "never_settled"
_DIFFERS = ("amount", "currency", "state")  # of a capture, as long as somebody is at it
_UNCLEAR = "settlement_unclear"  # of the hold that its line names
_LOOK_BACK = timedelta(days=31)  # as long as runs may have been missing
_TX, _OP, _ITEM, _ACCOUNT = LedgerTransactionRow, OperationRow, ReconciliationItemRow, LedgerAccountRow


class _Taken(msgspec.Struct, frozen=True):
    """A capture in the ledger, and where that is in its order."""

    at: datetime
    tx: UUID
    operation: UUID
    attempt: UUID
    tenant: UUID | None


async def tell_overdue(task: Task) -> None:
    """Open what is missing, once the reports of all days have been read; nothing where the provider has none.

    Of what was taken before the first day that was read, or in a gap between runs, nobody knows whether it is missing.
    """
    if not task.provider.capabilities.settlements:
        return
    until = task.now() - timedelta(seconds=task.settings.recon.settle_within)
    last = (max(until - _LOOK_BACK, task.run.covered), UUID(int=0))
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
    """List captures that were posted after a place in the ledger, and for which nothing of a report was.

    Not what stands in another account, nor what the provider keeps whole as its fee.
    """
    touches = or_(_ACCOUNT.id == PostingRow.debit, _ACCOUNT.id == PostingRow.credit)
    clearing = exists().where(PostingRow.tx == _TX.id, touches, _ACCOUNT.code == f"clearing:{provider}")
    wanted = (
        select(_TX.created_at, _TX.id, _OP.id, _OP.attempt_id, _OP.tenant)
        .join(_OP, _OP.id == _TX.operation_id)
        .where(_TX.created_at.between(last[0], until), tuple_(_TX.created_at, _TX.id) > last)  # the first has an index
        .where(_TX.kind.in_(("capture", "surplus")))
        .where(_OP.provider.concat("") == provider)  # so that SQLite begins with the time, and not with all of them
        .where(_OP.kind == "capture", _OP.state == "succeeded", func.coalesce(_OP.fee, 0) < _OP.amount)
        .where(clearing, ~_named(provider))
    )
    found = await ctx.session.execute(wanted.order_by(_TX.created_at, _TX.id).limit(PAGE))
    return [_Taken(*row) for row in found]


def _named(provider: str) -> ColumnElement[bool]:
    """Tell whether a report has named an operation."""
    report = aliased(_TX)
    return exists().where(report.operation_id == _OP.id, named_by_report(report, provider))


async def _told(ctx: Context, provider: str, page: list[_Taken]) -> set[UUID]:
    """Pick those of which somebody has heard, or hears while an item that is open tells of a line of theirs."""
    held = select(_OP.id, _OP.attempt_id).where(
        _OP.attempt_id.in_({one.attempt for one in page}), _OP.kind == "authorize"
    )
    attempts = {typeid("pop", id_): attempt for id_, attempt in await ctx.session.execute(held)}
    captures = {typeid("pop", one.operation): one.operation for one in page}
    about = or_(_ITEM.kind == NEVER_SETTLED, (_ITEM.state != "resolved") & _ITEM.kind.in_((*_DIFFERS, _UNCLEAR)))
    asked = select(_ITEM.kind, _ITEM.our_ref).where(
        _ITEM.provider == provider, _ITEM.our_ref.in_([*captures, *attempts]), about
    )
    items = (await ctx.session.execute(asked)).all()
    unclear = {attempts[ref] for kind, ref in items if kind == _UNCLEAR and ref in attempts}
    return {captures[ref] for kind, ref in items if kind != _UNCLEAR and ref in captures} | {
        one.operation for one in page if one.attempt in unclear
    }


async def _open(task: Task, taken: _Taken) -> bool:
    async with replace(task.caller, tenant=taken.tenant).begin() as ctx:
        books = await lock_of(ctx, taken.operation)
        op = books.operation(taken.operation)
        if await ctx.session.scalar(select(_OP.id).where(_OP.id == op.id, _named(op.provider))) is not None:
            return False  # another runner has read its line since
        return await open_item(books, op, NEVER_SETTLED, op.provider_ref, None, None)
