"""What a provider lists against our books, both ways: a page at a time, each payment in a transaction of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import aliased

from corekit.contracts.payments import Evidence, OutcomeUnknown
from corekit.values import Money
from corekit_payments.books import lock_of
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.items import open_item
from corekit_payments.models import OperationRow, PaymentRow
from corekit_payments.recon.asking import PAGE, Task
from corekit_payments.recon.comparing import compare
from corekit_payments.recon.tidying import tidy

_OURS = "ours:"  # a cursor in the second half of a run: the operation that was asked for last
_THEIRS = "theirs:"  # one in the first half: the object that was compared last
_OP = OperationRow


@dataclass(frozen=True)
class _Known:
    id: UUID
    tenant: UUID | None
    agrees: frozenset[tuple[Money | None, Money | None]] = frozenset()  # amounts and captures that agreed before


class Listing:
    """One run over one instance: what is listed there against ours, then what ours have beyond that."""

    def __init__(self, task: Task) -> None:
        self._task, self._provider, self._caller = task, task.provider, task.caller
        self._asked_at = task.now()

    async def compare(self) -> None:
        """Go on from the cursor."""
        cursor = self._task.run.cursor
        if not cursor.startswith(_OURS):
            await self._theirs(cursor.removeprefix(_THEIRS))
            cursor = _OURS
        await self._ours(cursor.removeprefix(_OURS))
        async with self._caller.begin() as ctx:
            await tidy(ctx, self._provider.name)

    async def _theirs(self, marker: str) -> None:
        """Compare what is listed after the object that was compared last; all of it where that is gone."""
        passed = not marker
        listed = self._provider.list_since(str(int(self._task.run.since.timestamp())))
        async for page in self._task.pages(listed):
            rest = page
            if not passed:
                names = [_name(one) for one in page]
                if marker not in names:
                    continue
                passed, rest = True, page[names.index(marker) + 1 :]
            await self._page(rest)
            await self._task.advance(f"{_THEIRS}{_name(page[-1])}")
        if not passed:
            await self._theirs("")

    async def _page(self, page: Sequence[Evidence]) -> None:
        known = await self._known(page)
        for one in page:
            self._task.count("listed")
            of = known.get(one.provider_ref or "") or known.get(f"#{one.reference}")
            if of is not None:
                await self._compare(of, one)
            elif one.state == "succeeded":
                await self._missing_here(one)

    async def _known(self, page: Sequence[Evidence]) -> dict[str, _Known]:
        """Find the operations of a page by the names of theirs, and by our references, of which each begins with #.

        A name may be an authorisation's and those of what followed from it; the first is what it stands for.
        """
        refs = [one.provider_ref for one in page if one.provider_ref]
        ours = [one.reference for one in page if one.reference]
        taken = aliased(_OP)
        captured = exists().where(
            taken.attempt_id == _OP.attempt_id, taken.kind == "capture", taken.state == "succeeded"
        )
        wanted = select(_OP, PaymentRow.currency, captured).join(PaymentRow, PaymentRow.id == _OP.payment_id)
        named = or_(_OP.provider_ref.in_(refs), _OP.reference.in_(ours))
        wanted = wanted.where(_OP.provider == self._provider.name, named, _OP.kind != "dispute").order_by(_OP.seq)
        found: dict[str, _Known] = {}
        async with self._caller.begin(readonly=True) as ctx:
            for row, currency, has_capture in await ctx.session.execute(wanted):
                known = _Known(row.id, row.tenant, _agreed(row, currency, captured=has_capture))
                found.setdefault(row.provider_ref or "", known)
                found.setdefault(f"#{row.reference}", known)
        return found

    async def _compare(self, of: _Known, shown: Evidence) -> None:
        if shown.state == "succeeded" and (shown.amount, shown.captured) in of.agrees:
            self._task.count("agreed")  # as before: no transaction for it
            return
        async with replace(self._caller, tenant=of.tenant).begin() as ctx:
            self._task.count(await compare(ctx, of.id, shown, self._asked_at))

    async def _missing_here(self, shown: Evidence) -> None:
        async with self._caller.begin() as ctx:
            opened = await book_unmatched(ctx, self._provider.name, _name(shown), shown, park=self._task.park)
            self._task.count("opened" if opened else "known")

    async def _ours(self, after: str) -> None:
        """Ask for what has moved money here and was not in the list."""
        last = UUID(after) if after else None
        while rows := await self._unseen(last):
            for row in rows:
                await self._seek(row)
            last = rows[-1].id
            await self._task.advance(f"{_OURS}{last}")

    async def _unseen(self, after: UUID | None) -> Sequence[OperationRow]:
        unseen = (_OP.provider == self._provider.name) & (_OP.state == "succeeded") & _OP.reconciled_at.is_(None)
        unseen &= _OP.kind.in_(["authorize", "capture", "refund"]) & _OP.provider_ref.is_not(None)
        unseen &= (_OP.updated_at >= self._task.run.since) & (_OP.updated_at < self._asked_at)
        first = aliased(_OP)  # of those with one name: it stands for the capture that came along
        unseen &= ~exists().where(
            first.payment_id == _OP.payment_id, first.provider_ref == _OP.provider_ref, first.seq < _OP.seq,
            first.state == "succeeded", first.reconciled_at.is_(None), first.kind != "dispute",
        )  # fmt: skip
        if after is not None:
            unseen &= _OP.id > after
        async with self._caller.begin(readonly=True) as ctx:
            return (await ctx.session.scalars(select(_OP).where(unseen).order_by(_OP.id).limit(PAGE))).all()

    async def _seek(self, row: OperationRow) -> None:
        """Ask for one by its name there, then by our reference; what has neither is missing there."""
        self._task.count("sought")
        shown = await self._fetched(row)
        if shown is not None:
            await self._compare(_Known(row.id, row.tenant), shown)
            return
        async with replace(self._caller, tenant=row.tenant).begin() as ctx:
            books = await lock_of(ctx, row.id)
            op, ref = books.operation(row.id), row.provider_ref
            opened = await open_item(books, op, "missing_there", ref, None, None, park=self._task.park)
            self._task.count("opened" if opened else "known")

    async def _fetched(self, row: OperationRow) -> Evidence | None:
        """Return what they show; None where it is not there, which a look-up confirms where there is one."""
        try:
            return await self._task.ask(self._provider.fetch(row.provider_ref or ""))
        except OutcomeUnknown:
            if not self._provider.capabilities.lookup:
                return None
        return await self._task.ask(self._provider.lookup(row.reference))


def _agreed(row: OperationRow, currency: str, *, captured: bool) -> frozenset[tuple[Money | None, Money | None]]:
    if row.reconciled_at is None or row.state != "succeeded":
        return frozenset()
    all_ = Money(row.amount, currency)
    return frozenset({(all_, None), *([(all_, all_)] if captured or row.kind != "authorize" else [])})


def _name(shown: Evidence) -> str:
    return shown.provider_ref or shown.reference or ""
