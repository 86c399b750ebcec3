"""A till at the payments plugin whose cards are charged by Stripe's adapter, wherever that is told to call."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from generous import GENEROUS  # in the folder above

from corekit.context import Actor
from corekit.contracts.payments import CardMethod, Method, NewPayment, Payment, Payments, ProviderSettings
from corekit.data import DatabaseSettings
from corekit.kit import Corekit
from corekit.settings import Secret
from corekit.testing import FakeClock, make_kit
from corekit.values import Money
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.ledger import broken

KEY = "sk_test_12345"
ALICE, CLARA = Actor("alice"), Actor("clara")
ACCESS = {
    "roles": {"cashier": ["payments:payment:capture", "payments:refund:create"]},
    "grants": {str(CLARA.id): ["cashier"]},
}


class Till:
    """Pays by card, and moves what was paid."""

    def __init__(self, kit: Corekit, http: httpx.AsyncClient) -> None:
        self.kit, self.http, self.payments = kit, http, kit.get(Payments)

    async def card(self, number: str) -> str:
        """Be Stripe's form."""
        card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
        made = await self.http.post("/v1/payment_methods", data={"type": "card", **card})
        return str(made.raise_for_status().json()["id"])

    async def pay(self, card: str | Method = "pm_card_visa", *, manual: bool = False, wait: float = 10.0) -> Payment:
        method = CardMethod(token=card, provider="cards") if isinstance(card, str) else card
        new = NewPayment(
            amount=Money(1000, "EUR"), method=method, confirm=True, capture_method="manual" if manual else "automatic"
        )
        async with self.kit.caller(ALICE).system("payments").begin() as ctx:
            made = await self.payments.create(ctx, new)
        return await self.drive(made.id, wait)

    async def drive(self, id_: str, wait: float = 10.0) -> Payment:
        return await self.payments.drive(self.kit.caller(ALICE), id_, wait)

    async def confirm(self, id_: str, card: str | Method) -> Payment:
        method = CardMethod(token=card, provider="cards") if isinstance(card, str) else card
        async with self.kit.caller(ALICE).system("payments").begin() as ctx:
            await self.payments.confirm(ctx, id_, method)
        return await self.drive(id_)

    async def capture(self, id_: str, minor: int, wait: float = 10.0) -> Payment:
        async with self.kit.caller(CLARA).system("payments").begin() as ctx:
            await self.payments.capture(ctx, id_, Money(minor, "EUR"), final=True)
        return await self.drive(id_, wait)

    async def refund(self, id_: str, minor: int) -> Payment:
        async with self.kit.caller(CLARA).system("payments").begin() as ctx:
            await self.payments.refund(ctx, id_, Money(minor, "EUR"), "requested_by_customer")
        return await self.drive(id_)

    async def cancel(self, id_: str) -> Payment:
        async with self.kit.caller(CLARA).system("payments").begin() as ctx:
            await self.payments.cancel(ctx, id_, "no longer wanted")
        return await self.drive(id_)

    async def looked_at(self, payment: Payment) -> Payment:
        """Have the sweeper's look, which is due after a while."""
        driver: Any = self.payments._driver  # type: ignore[attr-defined]
        for found, tenant in await driver._holding.due(10):
            await driver.start(found, tenant, "sweeper")
        return await self.drive(payment.id)

    async def operations(self, id_: str) -> list[Any]:
        async with self.kit.caller(ALICE).begin(readonly=True) as ctx:
            return await self.payments.operations(ctx, id_)  # type: ignore[attr-defined,no-any-return]

    async def there(self, id_: str) -> dict[str, Any]:
        """Ask the double itself what became of a payment's authorisation."""
        ref = (await self.operations(id_))[0].provider_ref
        return dict((await self.http.get(f"/v1/payment_intents/{ref}")).raise_for_status().json())


@asynccontextmanager
async def opened(
    address: str,
    database: DatabaseSettings | None,
    folder: Path,
    clock: FakeClock,
    key: str = KEY,
    **more: ProviderSettings,
) -> AsyncGenerator[Till]:
    """Open a till at Stripe's adapter at an address, and `more` providers; the books agree when it closes."""
    instance = ProviderSettings(kind="stripe", key_secret=Secret(key), base_address=address)
    plugin = PaymentsPlugin(PaymentsSettings(providers={"cards": instance, **more}, sweep=False, fraud=GENEROUS))
    settings = {"jobs": {"worker": False}, "access": ACCESS}
    kit = make_kit([plugin], database=database, tmp_path=folder, clock=clock, settings=settings)
    headers = {"Authorization": f"Bearer {key}"}
    async with kit as made, httpx.AsyncClient(base_url=address, headers=headers, trust_env=False) as http:
        yield Till(made, http)
        async with made.caller().system("payments").begin(readonly=True) as ctx:
            assert await broken(ctx) == {}
