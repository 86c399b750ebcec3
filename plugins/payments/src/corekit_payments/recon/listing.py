"""What a provider lists against our books, both ways: a page at a time, what differs in a transaction of its own."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from corekit.contracts.payments import Evidence, OutcomeUnknown
from corekit_payments.books import lock_of
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.items import open_item
from corekit_payments.models import OperationRow
from corekit_payments.recon.asking import PAGE, Task
from corekit_payments.recon.comparing import compare
from corekit_payments.recon.known import find, known_of, mark
from corekit_payments.recon.tidying import tidy

_OURS = "ours:"  # a cursor in the second half of a run: the operation that was asked for last
_THEIRS = "theirs:"  # one in the first half: the object that was compared last
_OP = OperationRow


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
        await tidy(self._caller, self._provider.name)

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
        async with self._caller.begin(readonly=True) as ctx:
            known = await known_of(ctx, self._provider.name, page)
        new: list[str] = []
        for one in page:
            self._task.count("listed")
            of = find(known, one)
            if of is not None and of.agrees(one):
                self._task.count("agreed")
                new += [one.provider_ref] if one.provider_ref is not None and not of.marked else []
            elif of is not None:
                await self._compare(of.id, of.tenant, one)
            elif one.state == "succeeded":
                await self._missing_here(one)
        if new:
            async with self._caller.begin() as ctx:
                await mark(ctx, self._provider.name, new)

    async def _compare(self, operation: UUID, tenant: UUID | None, shown: Evidence) -> None:
        async with replace(self._caller, tenant=tenant).begin() as ctx:
            self._task.count(await compare(ctx, operation, shown, self._asked_at))

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
            await self._compare(row.id, row.tenant, shown)
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


def _name(shown: Evidence) -> str:
    return shown.provider_ref or shown.reference or ""
