"""A till at the service whose provider is troubled as the test says, and whose time the test moves."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from generous import GENEROUS  # beside this file

from corekit.context import Actor
from corekit.contracts.payments import (
    Capabilities,
    Evidence,
    NewPayment,
    Payment,
    Payments,
    ProviderCall,
    ProviderSettings,
    TokenMethod,
    payment_providers,
)
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import Money
from corekit_payments import PaymentsPlugin, PaymentsSettings, reading
from corekit_payments.sandbox import CAPABILITIES, Journal, Sandbox

ALICE, BOB, CLARA = Actor("alice"), Actor("bob"), Actor("clara")
ACCESS = {
    "roles": {"cashier": ["payments:payment:capture", "payments:refund:create"]},
    "grants": {str(CLARA.id): ["cashier"]},
}


class Trouble(Sandbox):
    """The sandbox behind a line that the test lets fail: `before` and `after` are raised around the call."""

    before: BaseException | None = None
    after: BaseException | None = None
    gate: asyncio.Event | None = None
    calls: int = 0

    async def _take(self, call: ProviderCall) -> Evidence:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        error, self.before = self.before, None
        if error is not None:
            raise error
        done = await super()._take(call)
        error, self.after = self.after, None
        if error is not None:
            raise error
        return done


class TroublePlugin(Plugin[Settings]):
    """Brings the troubled sandbox."""

    name = "trouble"

    def __init__(self, folder: Path, clock: FakeClock, capabilities: Capabilities) -> None:
        super().__init__()
        self.provider = Trouble("trouble", Journal(folder / "trouble.db"), clock, capabilities)
        self.journal = Journal(folder / "trouble.db")

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> list[Trouble] | None:
        return [self.provider] if settings.kind == "trouble" else None


class Desk:
    """A till at the service: pays, and moves time."""

    def __init__(self, kit: Corekit, trouble: TroublePlugin, clock: FakeClock) -> None:
        self.kit, self.trouble, self.clock = kit, trouble, clock
        self.payments = kit.get(Payments)

    async def pay(self, means: str = "tok_ok", *, manual: bool = False, provider: str = "trouble") -> Payment:
        new = NewPayment(
            amount=Money(1000, "INR"),
            capture_method="manual" if manual else "automatic",
            method=TokenMethod(token=means, provider=provider),
            confirm=True,
        )
        async with self.kit.caller(ALICE).system("payments").begin() as ctx:
            return await self.payments.create(ctx, new)

    async def drive(self, id_: str, timeout: float = 10.0, who: Actor = ALICE) -> Payment:  # noqa: ASYNC109
        return await self.payments.drive(self.kit.caller(who), id_, timeout)

    async def attempt(self, id_: str) -> Payment:
        """Drive each operation in hand once, however slowly: not until it ends, which may take a later hour."""
        driver, caller, payment = self.payments._driver, self.kit.caller(ALICE), reading.parsed(id_)
        tried: set[UUID] = set()
        while True:
            shown, hand = await driver._look_at(caller, payment)
            if hand is None or hand in tried:
                return shown
            tried.add(hand)
            await driver.start(hand, None, "request")

    async def capture(self, id_: str, minor: int | None = None, *, final: bool = True, who: Actor = CLARA) -> Payment:
        amount = None if minor is None else Money(minor, "INR")
        async with self.kit.caller(who).system("payments").begin() as ctx:
            await self.payments.capture(ctx, id_, amount, final=final)
        return await self.drive(id_)

    async def refund(self, id_: str, minor: int | None = None, *, who: Actor = CLARA) -> Payment:
        amount = None if minor is None else Money(minor, "INR")
        async with self.kit.caller(who).system("payments").begin() as ctx:
            await self.payments.refund(ctx, id_, amount, "returned")
        return await self.drive(id_)

    async def state(self, id_: str) -> str:
        async with self.kit.caller(ALICE).begin(readonly=True) as ctx:
            return (await self.payments.operations(ctx, id_))[-1].state

    def effects(self) -> list[tuple[str, int]]:
        return [(one.kind, one.amount) for one in self.trouble.journal.effects()]


@asynccontextmanager
async def opened(
    database: DatabaseSettings,
    tmp_path: Path,
    clock: FakeClock,
    *,
    sweep: bool = False,
    capabilities: Capabilities = CAPABILITIES,
    **more: Any,
) -> AsyncGenerator[Desk]:
    """Open one, beside a sandbox without trouble."""
    trouble = TroublePlugin(tmp_path, clock, capabilities)
    instances = {name: ProviderSettings(kind=name) for name in ("sandbox", "trouble")}
    settings = {"jobs": {"worker": False}, "access": ACCESS}
    given = PaymentsSettings(providers=instances, sweep=sweep, fraud=GENEROUS, **more)
    plugins = [PaymentsPlugin(given), trouble]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=settings) as kit:
        yield Desk(kit, trouble, clock)
