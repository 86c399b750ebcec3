"""Whole payments in one kit, by Stripe's adapter at localstripe and by the sandbox: the books have to say the same."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from stripe_till import Till, opened  # beside this file

from corekit.contracts.payments import CardMethod, Method, Payment, ProviderSettings, TokenMethod, UseStripeSdk
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock
from corekit_payments.errors import AmountExceedsRemaining, PaymentState
from corekit_payments.ledger import balances
from corekit_payments.providers import Providers

_CARDS = {"ok": "pm_card_visa", "declined": "pm_card_chargeCustomerFail"}
_ASKS_FIRST = "4000002760003184"


class Shop:
    """A till at one of the two; what is asked of it is what both can."""

    def __init__(self, till: Till, instance: str) -> None:
        self.till, self.instance = till, instance

    async def means(self, how: str) -> Method:
        if self.instance == "sandbox":
            return TokenMethod(token=f"tok_{how}", provider="sandbox")
        token = await self.till.card(_ASKS_FIRST) if how == "3ds" else _CARDS[how]
        return CardMethod(token=token, provider="cards")

    async def pay(self, how: str = "ok", *, manual: bool = False) -> Payment:
        return await self.till.pay(await self.means(how), manual=manual)

    async def confirm(self, id_: str, how: str) -> Payment:
        return await self.till.confirm(id_, await self.means(how))

    async def decided(self, waits: Payment, clock: FakeClock, *, approve: bool) -> Payment:
        """Be the payer, and then the sweeper."""
        ref = (await self.till.operations(waits.id))[-1].provider_ref
        if self.instance == "sandbox":
            sandbox: Any = self.till.kit.get(Providers).named("sandbox")
            await sandbox.decide(ref, approve=approve)
        else:
            assert isinstance(waits.next_action, UseStripeSdk)
            said = {"client_secret": waits.next_action.client_secret, "success": str(approve).lower()}
            url = f"/v1/payment_intents/{ref}/_authenticate"
            (await self.till.http.post(url, data=said)).raise_for_status()
        clock.move(600)
        return await self.till.looked_at(waits)

    async def told(self, payment: Payment) -> tuple[object, ...]:
        """Write down what the books say of a payment."""
        done = [
            (one.kind, one.state, one.amount, one.error, one.surplus) for one in await self.till.operations(payment.id)
        ]
        shown = payment.status, payment.refund_status, payment.dispute_status, payment.totals, payment.review
        return (*shown, payment.decline and payment.decline.reason, done)


async def charged(shop: Shop, _: FakeClock) -> Payment:
    paid = await shop.pay()
    assert (await shop.till.refund(paid.id, 400)).refund_status == "partial"
    with pytest.raises(AmountExceedsRemaining):
        await shop.till.refund(paid.id, 601)
    return await shop.till.refund(paid.id, 600)


async def held(shop: Shop, _: FakeClock) -> Payment:
    hold = await shop.pay(manual=True)
    assert hold.status == "requires_capture"
    taken = await shop.till.capture(hold.id, 300)
    with pytest.raises(PaymentState):
        await shop.till.capture(hold.id, 1)
    return await shop.till.refund(taken.id, 100)


async def released(shop: Shop, _: FakeClock) -> Payment:
    return await shop.till.cancel((await shop.pay(manual=True)).id)


async def declined(shop: Shop, _: FakeClock) -> Payment:
    return await shop.pay("declined")


async def denied_then_paid(shop: Shop, clock: FakeClock) -> Payment:
    denied = await shop.decided(await shop.pay("3ds"), clock, approve=False)
    assert denied.decline is not None
    assert denied.decline.reason == "authentication"
    waits = await shop.confirm(denied.id, "3ds")
    assert waits.status == "requires_action"
    return await shop.decided(waits, clock, approve=True)


ENDS: dict[Callable[[Shop, FakeClock], Awaitable[Payment]], tuple[str, int, int]] = {
    charged: ("succeeded", 1000, 1000), held: ("succeeded", 300, 100), released: ("canceled", 0, 0),
    declined: ("requires_payment_method", 0, 0), denied_then_paid: ("succeeded", 1000, 0),
}  # fmt: skip


@pytest.fixture
async def till(double: str, database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Till]:
    async with opened(double, database, tmp_path, clock, sandbox=ProviderSettings(kind="sandbox")) as one:
        yield one


async def test_the_books_say_the_same(till: Till, clock: FakeClock) -> None:
    cards, sandbox = Shop(till, "cards"), Shop(till, "sandbox")
    for story, (status, captured, refunded) in ENDS.items():
        told = [await shop.told(await story(shop, clock)) for shop in (cards, sandbox)]
        assert told[0] == told[1], story.__name__
        totals: Any = told[0][3]
        assert (told[0][0], totals.captured, totals.refunded) == (status, captured, refunded), story.__name__
    async with till.kit.caller().system("payments").begin(readonly=True) as ctx:
        owed = {one.code: (one.debit, one.credit) for one in await balances(ctx)}
    assert owed["clearing:cards"] == owed["clearing:sandbox"] == (2300, 1100)
