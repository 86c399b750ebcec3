"""What a provider has paid out against what our books say it owes: a day at a time, each line in a transaction."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import case, select

from corekit.contracts.payments import OperationKind, SettlementRow
from corekit_payments.ledger.settlements import booked, source_of
from corekit_payments.models import OperationRow
from corekit_payments.recon.asking import Task
from corekit_payments.recon.overdue import tell_overdue
from corekit_payments.recon.paying import pay_out, pay_out_unknown

WINDOW = timedelta(days=3)  # a line may come later than the day that it is of
_KINDS: dict[str, OperationKind] = {"capture": "capture", "refund": "refund", "dispute": "dispute"}


class Settlement:
    """One run over one instance: the days from the run's begin until yesterday (UTC), again where they were read."""

    def __init__(self, task: Task) -> None:
        self._task, self._provider, self._caller = task, task.provider, task.caller

    async def compare(self) -> None:
        """Read the days that are left, then tell of what was due and is in none."""
        run, day = self._task.run, self._task.run.since.date()
        if run.cursor:
            day = date.fromisoformat(run.cursor) + timedelta(days=1)
        while day < self._task.now().date():
            async for page in self._task.pages(self._provider.settlement_rows(day)):
                await self._page(page)
                await self._task.advance(run.cursor)
            await self._task.advance(day.isoformat())
            day += timedelta(days=1)
        await tell_overdue(self._task)

    async def _page(self, page: list[SettlementRow]) -> None:
        names = {source_of(self._provider.name, row.id): row for row in page}
        async with self._caller.begin(readonly=True) as ctx:
            done = await booked(ctx, list(names))
        for source, row in names.items():
            self._task.count("lines")
            found = "booked before" if source in done else await self._line(row, source)
            self._task.count(found)

    async def _line(self, row: SettlementRow, source: str) -> str:
        if row.kind == "other":
            return "not of payments"
        found = await self._operation(row)
        if found is not None:
            async with replace(self._caller, tenant=found[1]).begin() as ctx:
                return await pay_out(ctx, self._provider.name, source, row, found[0])
        async with self._caller.begin() as ctx:
            return await pay_out_unknown(ctx, self._provider.name, source, row)

    async def _operation(self, row: SettlementRow) -> tuple[UUID, UUID | None] | None:
        """Find what a line names: the operation of its kind, else the first one that is called so at all."""
        op, kind = OperationRow, _KINDS.get(row.kind)
        if kind is None or row.provider_ref is None:
            return None
        named = (op.provider == self._provider.name) & (op.provider_ref == row.provider_ref)
        wanted = select(op.id, op.tenant).where(named).order_by(case((op.kind == kind, 0), else_=1), op.seq).limit(1)
        async with self._caller.begin(readonly=True) as ctx:
            found = (await ctx.session.execute(wanted)).one_or_none()
        return None if found is None else (found.id, found.tenant)
