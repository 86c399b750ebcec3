"""Razorpay's notices through the route: the scenarios that it publishes itself, against the stand-in."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from razorpay_standin import LOGIN, WEBHOOK, StandIn
from webhook_office import PostOffice

from corekit.contracts.payments import ProviderSettings
from corekit.settings import Secret
from corekit_payments.ledger import LedgerTransactionRow, broken
from corekit_payments.models import OperationRow, ReconciliationItemRow


class Shop:
    """A counter that is paid through Razorpay, and what that sends to it."""

    def __init__(self, counter: Any, service: StandIn) -> None:
        self.counter, self.service, self.office = counter, service, PostOffice(counter)

    async def waits(self, type_: str = "upi_intent", **more: Any) -> str:
        """Have a payment wait for its payer; return its id."""
        made = (await self.counter.pay(method={"type": type_}, **more)).json()
        assert made["status"] == "requires_action"
        return str(made["id"])

    def notice(self, event: str, **entities: dict[str, Any]) -> Any:
        return self.service.notice(event, **entities)

    async def hear(self, event: str, **entities: dict[str, Any]) -> list[str]:
        await self.office.deliver(self.notice(event, **entities), instance="shop_in")
        return await self.office.work()

    async def shown(self, id_: str) -> dict[str, Any]:
        return dict((await self.counter.get(f"/{id_}")).json())

    @property
    def ref(self) -> str:
        return next(iter(self.service.codes or self.service.orders))


@pytest.fixture
async def shop(open_counter: Any) -> AsyncGenerator[Shop]:
    async with StandIn() as service:
        settings = ProviderSettings(
            kind="razorpay", key_id=LOGIN[0], key_secret=Secret(LOGIN[1]), webhook_secrets=(Secret(WEBHOOK),),
            contact="+919999999999", email="shop@example.com", base_address=service.url,
        )  # fmt: skip
        counter = await open_counter(providers={"shop_in": settings}, request_timeout=5)
        yield Shop(counter, service)
        async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
            assert await broken(ctx) == {}


@pytest.mark.parametrize("type_", ["upi_qr", "upi_intent"])
async def test_captured_before_authorized_and_each_of_them_twice(shop: Shop, type_: str) -> None:
    id_ = await shop.waits(type_)
    payment = shop.service.pay(shop.ref)
    for event in ("payment.captured", "payment.authorized"):
        notice = shop.notice(event, payment=payment)
        assert await shop.office.deliver(notice, notice, instance="shop_in") == 1
        await shop.office.work()
    shown = await shop.shown(id_)
    assert (shown["status"], shown["totals"]["captured"]) == ("succeeded", 1000)
    assert [one.kind for one in await shop.office.table(LedgerTransactionRow)] == ["capture", "fee"]


async def test_a_code_is_found_by_the_reference_on_it(shop: Shop) -> None:
    """A payment by QR code has nothing of ours on it; the notice carries the code beside it."""
    id_ = await shop.waits("upi_qr")
    code = shop.service.codes[shop.ref]
    payment = shop.service.pay(shop.ref) | {"notes": []}
    assert await shop.hear("qr_code.credited", payment=payment, qr_code=code) == ["applied"]
    assert (await shop.shown(id_))["status"] == "succeeded"


async def test_one_try_that_fails_is_not_the_end_of_the_order(shop: Shop) -> None:
    """Red when the payment in the notice is taken for the operation: the payer could still pay, and does."""
    id_ = await shop.waits()
    order = shop.ref
    first = shop.service.pay(order, failed="payment_timed_out")
    second = shop.service._payment(1000, order, first["notes"])
    assert await shop.hear("payment.failed", payment=first) == ["applied"]
    assert (await shop.shown(id_))["status"] == "requires_action"
    shop.service.pay(order)
    assert await shop.hear("payment.captured", payment=second) == ["applied"] * 2
    assert (await shop.shown(id_))["status"] == "succeeded"


async def test_an_authorisation_that_comes_days_later(shop: Shop) -> None:
    """What had failed is paid after all: it is booked once, and told as late."""
    id_ = await shop.waits()
    payment = shop.service.pay(shop.ref, failed="payment_timed_out")
    await shop.hear("payment.failed", payment=payment)
    assert (await shop.shown(id_))["status"] == "requires_payment_method"
    shop.counter.kit.clock.move(timedelta(days=2).total_seconds())
    payment |= {"status": "captured", "captured": True, "error_code": None, "error_reason": None}
    await shop.hear("payment.captured", payment=payment)
    assert (await shop.shown(id_))["status"] == "succeeded"
    await shop.hear("payment.authorized", payment=payment)
    assert [one.kind for one in await shop.office.table(LedgerTransactionRow)] == ["capture"]


async def test_a_second_payment_of_one_order_is_for_a_person(shop: Shop) -> None:
    id_ = await shop.waits()
    order = shop.ref
    paid = shop.service.pay(order)
    await shop.hear("payment.captured", payment=paid)
    other = shop.service._capture(shop.service._payment(1000, order, paid["notes"]))
    assert await shop.hear("payment.captured", payment=other) == ["applied"] * 2
    (item,) = await shop.office.table(ReconciliationItemRow)
    assert (item.kind, item.their_ref) == ("reference", other["id"])
    assert (await shop.shown(id_))["totals"]["captured"] == 1000


async def test_a_refund_is_processed_later(shop: Shop) -> None:
    id_ = await shop.waits()
    payment = shop.service.pay(shop.ref)
    await shop.hear("payment.captured", payment=payment)
    await shop.counter.post(f"/{id_}/refunds", {"reason": "torn"}, "clara")
    (refund,) = shop.service.refunds.values()
    await shop.hear("refund.created", refund=refund, payment=payment)
    assert (await shop.shown(id_))["refund_status"] == "pending"
    refund["status"] = "processed"
    await shop.hear("refund.processed", refund=refund, payment=payment)
    assert (await shop.shown(id_))["refund_status"] == "full"


async def test_a_refund_from_the_dashboard_is_not_the_payments(shop: Shop) -> None:
    """Red when the reference of its payment is taken for its own."""
    id_ = await shop.waits("upi_qr")
    code = shop.service.codes[shop.ref]
    payment = shop.service.pay(shop.ref)
    await shop.hear("payment.captured", payment=payment)
    refund = shop.service._refund(payment, {"amount": 400, "notes": []}, "somebody-else")
    refund["status"] = "processed"
    states = await shop.hear("refund.processed", refund=refund, payment=payment, qr_code=code)
    assert sorted(states) == ["applied", "parked"]
    shop.counter.kit.clock.move(600)
    assert sorted(await shop.office.work()) == ["applied", "unmatched"]
    (item,) = await shop.office.table(ReconciliationItemRow)
    assert (item.kind, item.their_ref) == ("missing_here", refund["id"])
    kinds = sorted(one.kind for one in await shop.office.table(LedgerTransactionRow))
    assert kinds == ["capture", "fee", "unmatched_refund"]
    assert [one.state for one in await shop.office.table(OperationRow)] == ["succeeded"] * 2
    assert (await shop.shown(id_))["totals"]["refunded"] == 0


async def test_an_id_outside_the_signature_concludes_nothing(shop: Shop) -> None:
    """The same body under new ids is only fetched again; and under somebody's long id it is known by its digest."""
    id_ = await shop.waits()
    headers, raw = shop.notice("payment.captured", payment=shop.service.pay(shop.ref))
    for event_id in ("evt_1", "evt_2", "x" * 200, "x" * 300):
        await shop.office.post((headers | {"x-razorpay-event-id": event_id}, raw), "shop_in")
    assert await shop.office.work() == ["applied"] * 3
    assert (await shop.shown(id_))["totals"]["captured"] == 1000
    assert shop.service.moved == [("authorize", 1000), ("capture", 1000)]
