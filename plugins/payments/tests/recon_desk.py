"""Reconciliation against the troubled sandbox, whose books a test can falsify."""

from typing import Any

from sqlalchemy import select
from troubled_desk import Desk

from corekit.contracts.payments import Evidence
from corekit.data.outbox import OutboxRow
from corekit.kit import Corekit
from corekit.values import typeid
from corekit_payments.disputes import Disputes
from corekit_payments.ledger import LedgerTransactionRow, PostingRow, balances, broken
from corekit_payments.models import OperationRow, PaymentRow, ReconciliationItemRow
from corekit_payments.recon import Reconciliation, ReconciliationRunRow
from corekit_payments.recon.running import Run
from corekit_payments.sandbox import Journal, journal_of


class Auditor:
    """Runs the streams over the troubled instance by hand, and reads what came of it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.kit, self.clock = desk, desk.kit, desk.clock
        self.provider = desk.trouble.provider

    async def run(self, stream: Any, **options: Any) -> Run | None:
        return await self.kit.get(Reconciliation).run(stream, self.provider, **options)

    async def listing(self, **options: Any) -> Run | None:
        return await self.run("listing", **options)

    async def learn(self, of: str, shown: Evidence) -> None:
        """Hear of a dispute of what the provider calls `of`."""
        await self.kit.get(Disputes).learn("trouble", of, shown)

    async def counts(self, after: float = 60) -> dict[str, int]:
        """Run once, some seconds later; it has to come to its end."""
        self.clock.move(after)
        run = await self.listing()
        assert run is not None
        return dict(run.counts)

    def falsify(self, statement: str, *values: Any) -> None:
        """Change the provider's own books."""
        with self.desk.trouble.journal.transaction() as db:
            db.execute(statement, values)

    async def rows(self, row: Any) -> list[Any]:
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            return list((await ctx.session.scalars(select(row).order_by(row.created_at, row.id))).all())

    async def operations(self) -> list[OperationRow]:
        return await self.rows(OperationRow)

    async def runs(self) -> list[ReconciliationRunRow]:
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            return list((await ctx.session.scalars(select(ReconciliationRunRow))).all())

    @staticmethod
    def journal_of(kit: Corekit) -> Journal:
        """Open the books of the sandbox that has no trouble."""
        return Journal(journal_of(kit.database.data_dir, "sandbox"))

    async def events(self) -> list[OutboxRow]:
        return [one for one in await self.rows(OutboxRow) if one.kind == "event"]

    async def payments(self) -> list[str]:
        return [typeid("pay", one.id) for one in await self.rows(PaymentRow)]

    async def postings(self, kind: str) -> list[PostingRow]:
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            tx = LedgerTransactionRow
            mine = select(PostingRow).join(tx, tx.id == PostingRow.tx).where(tx.kind == kind)
            return list((await ctx.session.scalars(mine.order_by(tx.id, PostingRow.n))).all())

    async def items(self, state: str | None = None) -> list[ReconciliationItemRow]:
        return [one for one in await self.rows(ReconciliationItemRow) if state in {None, one.state}]

    async def kinds(self) -> list[tuple[str, str]]:
        return [(one.kind, one.state) for one in await self.items()]

    async def sums(self) -> dict[str, int]:
        """Return what each account holds, once the books have been found whole."""
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            assert await broken(ctx) == {}
            return {one.code: one.debit - one.credit for one in await balances(ctx)}
