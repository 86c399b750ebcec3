"""A kit at the end of the wire: its verbs by the service or over HTTP, its clock, its end and its rebirth."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from counters import ACCESS, BASE, NamesPlugin  # in the folder above
from generous import GENEROUS
from machine_wire import Fault, WirePlugin  # beside this file
from sqlalchemy import literal, select, text, union_all

from corekit.context import Actor, Context
from corekit.contracts.payments import Payments, ProviderSettings
from corekit.data import DatabaseSettings
from corekit.errors import Problem
from corekit.testing import FakeClock, make_kit
from corekit.values import parse_id, typeid
from corekit.web import create_app
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.disputes import Disputes
from corekit_payments.inbox import Inbox
from corekit_payments.inbox.taking import NoticeKey
from corekit_payments.ledger import balances, broken
from corekit_payments.ledger.invariants import INVARIANTS
from corekit_payments.models import OperationRow, PaymentRow, ReconciliationItemRow
from corekit_payments.recon import Reconciliation
from corekit_payments.requesting import Requests
from corekit_payments.returning import SurplusRefunds
from corekit_payments.sandbox.notices import Signed

_ALL = union_all(*(select(literal(name), one.subquery().columns[0]) for name, one in INVARIANTS.items()))


class World:
    """Everything that the machine drives; each example begins with empty tables and an empty bank."""

    def __init__(self, database: DatabaseSettings, url: str, folder: Path, clock: FakeClock) -> None:
        self.database, self.url, self.folder, self.clock = database, url, folder, clock
        self.runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self.plugin = WirePlugin(folder, clock)
        self.wire = self.plugin.wire

    def start(self) -> None:
        """Start a kit."""
        self.runner.run(self._start())

    def stop(self) -> None:
        """Stop it."""
        self.runner.run(self._stack.aclose())

    async def _start(self) -> None:
        one = {"wire": ProviderSettings(kind="wire")}
        self.payments_plugin = PaymentsPlugin(
            PaymentsSettings(providers=one, sweep=False, fraud=GENEROUS, request_timeout=60.0)
        )
        self.plugin = WirePlugin(self.folder, self.clock)
        self.plugin.wire = self.wire
        settings: dict[str, Any] = {"jobs": {"worker": False}, "access": ACCESS}
        plugins: list[Any] = [self.payments_plugin, NamesPlugin(), self.plugin]
        kit = make_kit(
            plugins, database=self.database, tmp_path=self.folder / "data", clock=self.clock, settings=settings
        )
        self.kit = await self._stack.enter_async_context(kit)
        engine = self.kit.database.engine()
        self.invariants = text(str(_ALL.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})))
        self.payments: Any = self.kit.get(Payments)
        self.driver, self.holding = self.payments._driver, self.payments._driver._holding
        transport = httpx.ASGITransport(create_app(self.kit, lifespan=False))
        client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self.http = await self._stack.enter_async_context(client)

    def empty(self) -> None:
        """Take back all that an example has done: whole tables, since postings let nobody delete them."""
        for table in ("effect", "object", "sent", "notice"):
            self.wire.change(f"DELETE FROM {table}")  # noqa: S608  # names of ours
        if self.url.startswith("sqlite"):
            self._delete(self.url.removeprefix("sqlite:///"))
        else:
            self.runner.run(self._truncate())

    def _delete(self, file: str) -> None:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as db, db:
            named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'payments\\_%' ESCAPE '\\'"
            guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in guards:
                db.execute(f"DROP TRIGGER {name}")
            for (table,) in [*db.execute(named), ("corekit_idempotency",)]:
                db.execute(f"DELETE FROM {table}")  # noqa: S608
            for _, sql in guards:
                db.execute(sql)

    async def _truncate(self) -> None:
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'payments\\_%'")
            listed = ", ".join(row["tablename"] for row in names)
            await connection.execute(f"TRUNCATE {listed}, corekit_idempotency CASCADE")
        finally:
            await connection.close()

    def ask(self, who: str, verb: Callable[[Context], Awaitable[Any]]) -> Any:
        """Ask for something; return what comes of it, or the problem's name."""

        async def asking() -> Any:
            try:
                async with self.kit.caller(Actor(who)).system("payments").begin() as ctx:
                    return await verb(ctx)
            except Problem as why:
                return why.slug

        return self.runner.run(asking())

    def post(self, who: str, path: str, body: Any, key: str, wait: float) -> httpx.Response:
        """Ask over HTTP, and let the driver end whether the request has waited for it or not."""

        async def posting() -> httpx.Response:
            self.kit.get(Requests)._wait = wait
            headers = {"Authorization": f"Bearer {who}", "Idempotency-Key": key}
            answer = await self.http.post(f"{BASE}{path}", json=body, headers=headers)
            await asyncio.gather(*self.driver._running.values(), return_exceptions=True)
            return answer

        return self.runner.run(posting())

    def drive(self, operations: list[str], fault: Fault | None) -> None:
        """Drive operations, each once; the first call meets the fault."""

        async def driving() -> None:
            for id_ in operations:
                await asyncio.wait([self.driver.start(parse_id("pop", id_), None, "request")])

        self.wire.fault = fault
        self.runner.run(driving())

    def due(self) -> list[str]:
        """List what the sweeper would drive now."""
        return [typeid("pop", id_) for id_, _ in self.runner.run(self.holding.due(100))]

    def take(self, notices: list[Signed]) -> int:
        """Have notices come, and work on those that are new as they come; return how many those are."""

        async def taking() -> int:
            inbox, count, caller = self.kit.get(Inbox), 0, self.kit.caller()
            for headers, raw in notices:
                if new := await inbox.take(caller, "wire", headers, raw):
                    event = self.wire.verify(headers, raw)[0]
                    await self.payments_plugin.process_webhook(caller.system("payments"), NoticeKey("wire", event.id))
                count += new
            return count

        return self.runner.run(taking())

    def hear_of_dispute(self, of: str, evidence: Any) -> None:
        """Have a dispute told."""
        self.runner.run(self.kit.get(Disputes).learn("wire", of, evidence))

    def list_all(self) -> bool:
        """Reconcile; tell whether the run came to its end."""
        return self.runner.run(self.kit.get(Reconciliation).run("listing", self.wire, now=True)) is not None

    def expire_holds(self) -> None:
        """End what is held past its time."""
        self.runner.run(self.kit.get(Reconciliation).expire_holds())

    def refund_surplus(self) -> int:
        """Begin to give back what nobody owes."""
        count: int = self.runner.run(SurplusRefunds(self.holding).sweep())
        return count

    def books(self) -> tuple[list[PaymentRow], list[OperationRow], list[Any]]:
        """Read payments, operations in their order, and what breaks an invariant."""

        async def reading() -> Any:
            async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
                payments = (await ctx.session.scalars(select(PaymentRow))).all()
                operations = (await ctx.session.scalars(select(OperationRow).order_by(OperationRow.seq))).all()
                return payments, operations, (await ctx.session.execute(self.invariants)).all()

        found: tuple[list[PaymentRow], list[OperationRow], list[Any]] = self.runner.run(reading())
        return found

    def accounts(self) -> tuple[dict[str, int], set[str]]:
        """Read what each account holds, and the kinds of open items, once the books have been found whole."""

        async def reading() -> Any:
            async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
                assert await broken(ctx) == {}
                sums = {one.code: one.debit - one.credit for one in await balances(ctx)}
                row = ReconciliationItemRow
                kinds = (await ctx.session.scalars(select(row.kind).where(row.state != "resolved"))).all()
                return {code: moved for code, moved in sums.items() if moved}, set(kinds)

        return self.runner.run(reading())
