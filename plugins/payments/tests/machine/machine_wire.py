"""The sandbox at the end of a line that fails when it is told to, and that remembers what has come through it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from corekit.contracts.payments import (
    Assessment,
    Evidence,
    NotAttempted,
    OutcomeUnknown,
    PaymentFacts,
    ProviderCall,
    ProviderSettings,
    assess_payment,
    payment_providers,
)
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit_payments.sandbox import CAPABILITIES, Journal, Sandbox
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.counter import Near
from corekit_payments.sandbox.court import Row, Verdict

Fault = Literal["unsent", "declined", "lost before", "lost after", "killed before", "killed after"]
Heard = Evidence | Literal["nothing", "unsent", "lost", "killed"]
HOLD = timedelta(days=7)


class Passed(msgspec.Struct, frozen=True):
    """One call: what it asked, of which operation (by our reference, or a dispute's name), and what was heard."""

    verb: Literal["take", "fetch", "lookup", "listed"]
    of: str
    heard: Heard


class Wire(Sandbox):
    """Whoever is `killed` at the line writes nothing more: its lease stays, as that of a process that has died."""

    def __init__(self, journal: Journal, clock: FakeClock) -> None:
        super().__init__("wire", journal, clock, msgspec.structs.replace(CAPABILITIES, rate=10.0**6))
        self.fault: Fault | None = None
        self.declines = False
        self.passed: list[Passed] = []
        self.journal, self.clock, self._bank = journal, clock, Bank(journal, clock)
        self._counter = Near(self._bank)
        self._bank._outcome = partial(self._decide, self._bank._outcome)  # type: ignore[method-assign]

    async def fetch(self, ref: str) -> Evidence:
        """Ask for an object."""
        with self.journal.transaction() as db:
            row: Row | None = db.execute("SELECT reference FROM object WHERE ref = ?", (ref,)).fetchone()
        return await self._pass("fetch", row["reference"] or ref if row is not None else "", super().fetch(ref))

    async def lookup(self, reference: str) -> Evidence | None:
        """Ask for one by our name."""
        return await self._pass("lookup", reference, super().lookup(reference))

    async def list_since(self, cursor: str) -> AsyncIterator[Evidence]:
        """List objects."""
        async for one in super().list_since(cursor):
            self.passed.append(Passed("listed", one.reference or "", one))
            yield one

    def drain(self) -> list[Passed]:
        """Return what has passed since, and mend the line."""
        passed, self.passed, self.fault = self.passed, [], None
        return passed

    def change(self, statement: str, *values: Any) -> int:
        """Change the provider's own books; return how many rows that were."""
        with self.journal.transaction() as db:
            return db.execute(statement, values).rowcount

    def objects(self, where: str, *values: Any) -> list[Row]:
        """Read the provider's own books."""
        with self.journal.transaction() as db:
            return db.execute(f"SELECT * FROM object WHERE {where} ORDER BY n", values).fetchall()  # noqa: S608  # a test's

    def approve(self, ref: str, *, approve: bool) -> None:
        """Be the payer who was asked to act."""
        self._bank.decide(ref, approve=approve)

    def be_disputed(self, ref: str) -> Evidence | None:
        """Be the payer who wants back what is left of what was taken; return what there is to be told, if anything."""
        try:
            return self._shown(self._bank.dispute(ref), "event")
        except OutcomeUnknown:
            return None

    def be_judged(self, ref: str, verdict: Verdict) -> Evidence:
        """Be the payer's bank."""
        return self._shown(self._bank.judge(ref, verdict), "event")

    def told_of(self, ref: str) -> list[Evidence]:
        """Say what there is to be told of the disputes of what was taken."""
        return [self._shown(row, "event") for row in self._bank.disputes(ref)]

    def let_holds_lapse(self) -> None:
        """End what was held for a week, of which nothing was taken."""
        old = (self.clock.now() - HOLD).isoformat()
        untouched = "NOT EXISTS (SELECT 1 FROM effect WHERE parent = object.ref AND kind IN ('capture', 'void'))"
        held = f"kind = 'authorize' AND automatic = 0 AND state = 'succeeded' AND at <= ? AND {untouched}"
        for row in self.objects(held, old):
            self.change("UPDATE object SET state = 'canceled', means = 'tok_ok' WHERE ref = ?", row["ref"])

    def succeed_late(self, ref: str) -> bool:
        """Do what was refused after all, where the money is there; tell whether it was done."""
        (row,) = self.objects("ref = ?", ref)
        with self.journal.transaction() as db:
            moved = self._bank._moved(db, row["parent"])
            left = self._bank._left(db, row["parent"])
        parent = self.objects("ref = ? AND state = 'succeeded'", row["parent"])
        if not parent:
            return False
        held = parent[0]["amount"] - moved.get("capture", 0) - moved.get("void", 0)
        if row["state"] != "failed" or row["amount"] > (left if row["kind"] == "refund" else held):
            return False
        with self.journal.transaction() as db:
            done = db.execute("UPDATE object SET state = 'succeeded', error = NULL WHERE ref = ? RETURNING *", (ref,))
            changed = done.fetchone()
            self._bank._effect(db, changed, "")
            self._bank._tell(db, changed)
        return True

    async def _take(self, call: ProviderCall) -> Evidence:
        return await self._pass("take", call.reference, super()._take(call))

    async def _pass(self, verb: Any, of: str, answer: Coroutine[Any, Any, Any]) -> Any:
        fault, self.fault = self.fault, None
        self.declines = fault == "declined"
        heard: Heard = "lost"
        try:
            if fault in {"unsent", "lost before", "killed before"}:
                answer.close()
                self._fail(str(fault))
            found = await answer
            if fault in {"lost after", "killed after"}:
                self._fail(str(fault))
            heard = found or "nothing"
        except NotAttempted:
            heard = "unsent"
            raise
        except asyncio.CancelledError:
            heard = "killed"
            raise
        else:
            return found
        finally:
            self.passed.append(Passed(verb, of, heard))

    def _decide(self, otherwise: Any, db: Any, call: ProviderCall, *rest: Any) -> Any:
        """Refuse what the sandbox would do, where a test wants it refused."""
        return ("failed", "declined") if self.declines else otherwise(db, call, *rest)

    def _fail(self, fault: str) -> None:
        if fault == "unsent":
            raise NotAttempted("the line is down")
        if fault.startswith("lost"):
            raise OutcomeUnknown("the answer was lost")
        raise asyncio.CancelledError

    def _shown(self, row: Row, source: Any) -> Evidence:
        shown = super()._shown(row, source)
        if row["kind"] == "authorize" and not row["automatic"] and row["state"] == "succeeded":
            return msgspec.structs.replace(shown, expires_at=shown.occurred_at + HOLD)
        return shown


class WirePlugin(Plugin[Settings]):
    """Brings the wire, and fraud rules by which an amount says what is thought of it."""

    name = "wire"

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        super().__init__()
        self.wire = Wire(Journal(folder / "wire.db"), clock)

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> list[Wire] | None:
        return [self.wire] if settings.kind == "wire" else None

    @implements(assess_payment)
    async def judge(self, facts: PaymentFacts) -> Assessment | None:
        said: Any = {777: "review", 666: "block", 555: "challenge"}.get(facts.amount.minor)
        return None if said is None else Assessment(outcome=said, rule="wire.amount")
