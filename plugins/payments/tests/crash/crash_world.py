"""The crash run as the outside sees it: it starts lives, moves their clock, counts, and compares."""

import asyncio
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
from crash_client import ENDS  # beside this file
from crash_fate import SHAPES, Fate, Flaky, FlakyPlugin, Setting
from crash_server import ForkServer
from sqlalchemy import func, select

from corekit.contracts.payments import ProviderSettings
from corekit.data import DatabaseSettings
from corekit.kit import Corekit
from corekit.settings import Config
from corekit.testing import FakeClock
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.books import derived_of
from corekit_payments.inbox import WebhookInboxRow
from corekit_payments.ledger import balances, broken
from corekit_payments.models import OperationRow, PaymentRow, ReconciliationItemRow
from corekit_payments.sandbox import Journal, journal_of

SEED = 20300101
STEP = timedelta(seconds=121)  # of the lives' clock between two rounds: past every lease of an operation
Books = list[tuple[PaymentRow, list[OperationRow]]]
# What lives beside what, over and over; the others come in where there are disputes, notices and reports.
PAYING = (("pay",), ("pay",), ("pay",), ("pay", "sweep"))
ALL = (*PAYING, ("hear",), ("pay", "sweep"), ("pay", "hear"), ("reconcile",))


class World:
    """One run: a database, a folder with the provider's journal, and a fork server."""

    def __init__(self, server: ForkServer, database: DatabaseSettings, folder: Path, **setting: Any) -> None:
        # Processes are killed, and no machine: nobody has to wait for a disk.
        quick = msgspec.structs.replace(database.sqlite, synchronous="normal")
        database = msgspec.structs.replace(database, sqlite=quick)
        self.server, self.database, self.folder = server, database, folder
        # A provider that is a process of its own has the time of this machine.
        self.now = datetime.now(UTC) if "sandbox" in setting else datetime(2030, 1, 1, 12, tzinfo=UTC)
        self.kills = self.lives = 0
        self.setting = {"database": msgspec.to_builtins(database), "folder": str(folder), **setting}
        self.shapes = setting.get("shapes", 3)
        self.whole = self.shapes == SHAPES
        self.journal = Journal(journal_of(folder, "flaky"))
        server.forget()
        server.send(setting=self.setting, first=True, lives=[self.life("pay", mortal=False, orders=self.shapes)])
        server.heard()
        self.before = set(self.effects())

    def life(self, does: str, **fields: Any) -> dict[str, Any]:
        """Write down a life; each has a seed of its own."""
        self.lives += 1
        return {"seed": SEED + self.lives, "now": self.now, "does": does, **fields}

    def round(self, *does: str, allowed: tuple[int, ...] = (0, -signal.SIGKILL), **fields: Any) -> list[dict[str, int]]:
        """Live some lives beside each other, past every lease of those before; return their ends."""
        self.server.send(setting=self.setting, lives=[self.life(one, **{"orders": 4, **fields}) for one in does])
        return self.ended(allowed)

    def ended(self, allowed: tuple[int, ...]) -> list[dict[str, int]]:
        """Wait for the ends of a round."""
        ends = self.server.heard()
        codes = [one["code"] for one in ends]
        assert set(codes) <= set(allowed), self.server.said()
        self.kills += codes.count(-signal.SIGKILL)
        self.now += STEP
        return ends

    def run(self, kills: int, *, orders: int = 0, finish: bool = True) -> "World":
        """Kill so often, and until so many orders have moved money; then let everything end, or leave it as it is."""
        rounds = cycle(ALL if self.whole else PAYING)
        last = kills * 9 // 10 if self.whole else kills
        while self.kills < last or len(self.authorized()) < orders:
            assert self.lives < 8 * kills + 20, "hardly anybody dies, or pays"
            self.round(*next(rounds))
        if finish:
            self.finish(kills)
        return self

    def finish(self, kills: int = 0) -> None:
        """Let everything end; a day later what was paid out is compared, by some who do not live to see its end."""
        for _ in range(6):
            self.round("pay", mortal=False, orders=0)
            self.round("sweep", mortal=False)
        if not self.whole:
            return
        self.round("hear", mortal=False)
        self.now += timedelta(days=1)
        while self.kills < kills:
            before = self.kills
            self.round("reconcile")
            self.now += timedelta(minutes=5)  # a run's lease
            if self.kills == before:
                self.now += timedelta(hours=21)  # they are compared once a day
        # What has waited for its payer for too long is over.
        for does in ("sweep", "reconcile", "hear", "sweep", "hear"):
            self.now += timedelta(days=1)
            self.round(does, mortal=False)

    def effects(self) -> Counter[tuple[str, str]]:
        """Count effects by what they were asked for as; of disputes, nobody's wish, by what they are of."""
        return Counter((one.reference or one.parent, one.kind) for one in self.journal.effects())

    def authorized(self) -> dict[tuple[str, str], int]:
        """Count authorisations by what they were asked for as, but for those by which lives were prepared."""
        made = {what: times for what, times in self.effects().items() if what not in self.before}
        return {what: times for what, times in made.items() if what[1] == "authorize"}

    def kit(self) -> Corekit:
        """Return a kit that looks at the books."""
        config = Config.load(environ={}, overrides={"jobs": {"worker": False}})
        fate = Fate(msgspec.convert(self.setting, Setting))
        settings = PaymentsSettings(providers={"flaky": ProviderSettings(kind="flaky")}, sweep=False)
        plugins = [PaymentsPlugin(settings), FlakyPlugin(Flaky(fate, FakeClock()))]
        return Corekit(plugins, database=self.database, data_dir=self.folder / "data", config=config)

    async def books(self) -> Books:
        """Read every payment with its operations; the ledger has to be whole."""
        async with self.kit() as kit, kit.caller().system("payments").begin(readonly=True) as ctx:
            payments = (await ctx.session.scalars(select(PaymentRow))).all()
            every = (await ctx.session.scalars(select(OperationRow).order_by(OperationRow.seq))).all()
            assert await broken(ctx) == {}, "the ledger"
            if self.whole:
                await self._demand_told(ctx.session)
                paid_out = {one.code: one.debit - one.credit for one in await balances(ctx)}["bank"]
                moved = Counter[str]()
                for one in self.journal.effects():
                    moved[one.kind] += one.amount
                assert paid_out == moved["capture"] - moved["refund"], "paid out"
        return [(one, [op for op in every if op.payment_id == one.id]) for one in payments]

    async def _demand_told(self, session: Any) -> None:
        """Demand that every notice was worked on, and that nobody has to look at a difference."""
        told = await session.execute(select(WebhookInboxRow.state, func.count()).group_by(WebhookInboxRow.state))
        states = {row[0]: row[1] for row in told}
        assert set(states) == {"applied"}, states
        rows = self.journal.notices(0)
        assert states["applied"] >= len(rows) > 0
        items = (await session.scalars(select(ReconciliationItemRow))).all()
        # Who approved after their time was over is booked all the same, and it is told that it was.
        assert {(one.kind, one.state) for one in items} <= {("state", "resolved")}

    def compare(self) -> int:
        """Hold books, journal and what clients were told against each other; return how many payments there are."""
        assert max(self.effects().values()) == 1, "done more than once for one request"
        moved: Counter[tuple[str, str]] = Counter()
        for effect in self.journal.effects():
            moved[effect.parent, effect.kind] += effect.amount
        books = asyncio.run(self.books())
        orders = Counter(int(payment.merchant_reference or 0) for payment, _ in books)
        told = {int(line) for line in (self.folder / "acknowledged").read_text().split()}
        assert told <= set(orders), "lost"
        assert max(orders.values()) == 1, "an order was paid by two payments"
        for payment, operations in books:
            self._compare(payment, operations, moved)
        assert not moved, "charged and not booked"
        return len(books)

    def _compare(self, payment: PaymentRow, operations: list[OperationRow], moved: Counter[tuple[str, str]]) -> None:
        """Hold one payment against what the provider did for it, and against where it was to end."""
        first = operations[0].provider_ref or ""
        kinds = ("authorize", "capture", "refund", "void", "dispute", "dispute_won")
        done = {kind: moved.pop((first, kind), 0) for kind in kinds}
        voided = sum(one.amount for one in operations if one.kind == "void" and one.state == "succeeded")
        charged = (done["authorize"], done["capture"], done["refund"], done["void"])
        assert charged == (payment.authorized, payment.captured, payment.refunded, voided)
        assert payment.disputed == done["dispute"] - done["dispute_won"]
        (status, refund, dispute), amounts = ENDS[int(payment.merchant_reference or 0) % self.shapes]
        ends = {dispute, "won"} if dispute == "lost" else {dispute}
        assert (payment.status, payment.refund_status, charged) == (status, refund, amounts)
        assert payment.dispute_status in ends
        for name, value in msgspec.structs.asdict(derived_of(payment, operations)).items():
            assert getattr(payment, name) == value, name
