"""Refunds that are changed or refused by others, and surplus that goes back by itself where the operator says so."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from test_desk import check, operations  # beside this file

from corekit.context import Actor, Context
from corekit.contracts.payments import Payments, RefundDraft, before_refund
from corekit.errors import Conflict
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments.ledger import balances, broken
from corekit_payments.models import ReconciliationItemRow
from corekit_payments.returning import SurplusRefunds

OK = {"method": {"type": "token", "token": "tok_ok"}}
TAKEN = [("authorize", 1000), ("capture", 1000)]


class Shop(Plugin[Settings]):
    """Does with refunds what the test says, and keeps what it was asked about."""

    name = "shop"

    def __init__(self, amount: Money | None = None, error: Exception | None = None) -> None:
        super().__init__(Settings())
        self.amount, self.error = amount, error
        self.asked: list[tuple[RefundDraft, bool]] = []

    @implements(before_refund)
    async def look(self, draft: RefundDraft, ctx: Context) -> RefundDraft | None:
        self.asked.append((draft, ctx.on_behalf_of is None))
        if self.error is not None:
            raise self.error
        return None if self.amount is None else replace(draft, amount=self.amount, reason="less a fee")


async def test_a_refund_becomes_what_others_make_of_it(open_counter: Any) -> None:
    shop = Shop(Money(900, "INR"))
    counter = await open_counter(shop)
    paid = (await counter.pay()).json()["id"]
    back = await counter.post(f"/{paid}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["amount"]["amount"], back.json()["reason"]) == (201, 900, "less a fee")
    assert shop.asked == [(RefundDraft(payment=paid, amount=Money(1000, "INR"), reason="torn"), False)]
    assert counter.effects() == [*TAKEN, ("refund", 900)]


@pytest.mark.parametrize(
    ("shop", "slug"),
    [
        (Shop(error=Conflict("the parcel has not come back")), "conflict"),
        (Shop(Money(1001, "INR")), "amount-exceeds-remaining"),
        (Shop(Money(0, "INR")), "amount-out-of-range"),
        (Shop(Money(-1, "INR")), "amount-out-of-range"),
        (Shop(Money(10, "USD")), "invalid"),
    ],
)
async def test_what_others_refuse_or_cannot_be_moves_nothing(open_counter: Any, shop: Shop, slug: str) -> None:
    """Red when what a hook returns is taken unchecked."""
    again = Shop(shop.amount, shop.error)
    counter = await open_counter(again)
    paid = (await counter.pay()).json()["id"]
    back = await counter.post(f"/{paid}/refunds", {"reason": "torn"}, "clara")
    assert back.json()["type"] == f"urn:corekit:problem:{slug}"
    assert counter.effects() == TAKEN
    assert (await counter.get(f"/{paid}")).json()["totals"]["refund_pending"] == 0


async def surplus(counter: Any) -> str:
    """Have the first attempt of a payment succeed after the second one has."""
    first = (await counter.pay("tok_late")).json()["payment"]
    assert (await counter.post(f"/{first}/confirm", OK)).status_code == 200
    attempt = (await operations(counter, first))[0]
    for _ in range(3):
        await check(counter, attempt["id"])
    taken = [one for one in await operations(counter, first) if one["surplus"] and one["kind"] != "refund"]
    assert [(one["kind"], one["state"]) for one in taken] == [("authorize", "succeeded"), ("capture", "succeeded")]
    return str(first)


async def items(counter: Any) -> list[tuple[str, str]]:
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        found = await ctx.session.execute(ReconciliationItemRow.__table__.select())
        return sorted((row.kind, row.state) for row in found)


def returns(counter: Any) -> SurplusRefunds:
    return SurplusRefunds(counter.kit.get(Payments)._driver._holding)


async def given_back(counter: Any, payment: str) -> list[str]:
    return [one["state"] for one in await operations(counter, payment) if one["kind"] == "refund"]


async def test_a_surplus_goes_back_once_and_leaves_the_totals_alone(counter: Any) -> None:
    """Red when a surplus is begun twice, counts as the payment's, or opens another item when it is back."""
    payment = await surplus(counter)
    before = (await counter.get(f"/{payment}")).json()
    sweeping = returns(counter)
    assert [await sweeping.sweep() for _ in range(3)] == [1, 0, 0]
    await counter.kit.get(Payments).drive(counter.kit.caller().system("payments"), payment)
    assert await sweeping.sweep() == 0
    (refund,) = [one for one in await operations(counter, payment) if one["kind"] == "refund"]
    taken = next(one for one in await operations(counter, payment) if one["kind"] == "capture" and one["surplus"])
    assert (refund["state"], refund["surplus"], refund["of"]) == ("succeeded", True, taken["id"])
    after = (await counter.get(f"/{payment}")).json()
    assert {name: after[name] for name in ("status", "totals", "refund_status")} == {
        name: before[name] for name in ("status", "totals", "refund_status")
    }
    assert counter.effects() == [*TAKEN, *TAKEN, ("refund", 1000)]
    assert set(await items(counter)) == {("surplus", "resolved")}
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        held = {one.code: one.debit - one.credit for one in await balances(ctx)}
        assert (held["suspense"], held["clearing:sandbox"], await broken(ctx)) == (0, 1000, {})


async def test_it_waits_for_what_is_in_hand(counter: Any) -> None:
    payment = await surplus(counter)
    async with counter.kit.caller(Actor("clara")).system("payments").begin() as ctx:
        await ctx.get(Payments).refund(ctx, payment, Money(10, "INR"), "torn")
    assert await returns(counter).sweep() == 0
    await counter.kit.get(Payments).drive(counter.kit.caller().system("payments"), payment)
    assert await returns(counter).sweep() == 1


async def test_what_is_refused_is_let_alone_for_an_hour(open_counter: Any, clock: FakeClock) -> None:
    shop = Shop(error=Conflict("not yet"))
    counter = await open_counter(shop)
    payment, sweeping = await surplus(counter), returns(counter)
    assert [await sweeping.sweep() for _ in range(3)] == [0, 0, 0]
    assert [(one.surplus, nobody) for one, nobody in shop.asked] == [(True, True)]
    clock.move(3601)
    shop.error = None
    assert await sweeping.sweep() == 1
    assert await given_back(counter, payment) == ["created"]


async def test_by_itself_only_where_the_operator_says_so(open_counter: Any, clock: FakeClock) -> None:
    """The sweeper has passed for certain: it has brought about what nobody else does."""
    counter = await open_counter(sweep=True)
    payment = await surplus(counter)
    lost = (await counter.pay("tok_lost_after")).json()["id"]
    async with asyncio.timeout(60):
        while (await counter.get(f"/{lost}")).json()["status"] != "succeeded":
            clock.move(60)
            await asyncio.sleep(0.1)
    assert await given_back(counter, payment) == []
    assert ("surplus", "open") in await items(counter)


async def test_the_sweeper_gives_it_back(open_counter: Any) -> None:
    counter = await open_counter(sweep=True, refund_surplus=True)
    payment = await surplus(counter)
    async with asyncio.timeout(60):
        while await given_back(counter, payment) != ["succeeded"]:
            await asyncio.sleep(0.1)
    assert counter.effects() == [*TAKEN, *TAKEN, ("refund", 1000)]
