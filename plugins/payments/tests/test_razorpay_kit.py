"""A kit that is paid through Razorpay: from the request to the refund, with the service in its own state of things."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from razorpay_standin import LOGIN, WEBHOOK, StandIn
from sqlalchemy import select

from corekit.contracts.payments import Payments, ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit_payments.ledger import balances
from corekit_payments.models import ReconciliationItemRow
from corekit_payments.recon import Reconciliation


@pytest.fixture
async def service() -> AsyncGenerator[StandIn]:
    async with StandIn() as made:
        yield made


def shop(service: StandIn, **more: Any) -> dict[str, ProviderSettings]:
    fields: dict[str, Any] = {
        "key_id": LOGIN[0], "key_secret": Secret(LOGIN[1]), "webhook_secrets": (Secret(WEBHOOK),),
        "contact": "+919999999999", "email": "shop@example.com", "base_address": service.url,
    }  # fmt: skip
    return {"shop_in": ProviderSettings(kind="razorpay", **(fields | more))}


async def sweep(counter: Any) -> None:
    """Look at what is due, as the sweeper does."""
    driver = counter.kit.get(Payments)._driver  # the sweeper's own way, without its loop
    for found, tenant in await driver._holding.due(10):
        await driver.start(found, tenant, "sweeper")


@pytest.mark.parametrize("type_", ["upi_qr", "upi_intent"])
async def test_a_payment_and_its_refund(open_counter: Any, service: StandIn, clock: Any, type_: str) -> None:
    counter = await open_counter(providers=shop(service), request_timeout=5)
    made = (await counter.pay(method={"type": type_})).json()
    assert made["status"] == "requires_action"
    ref = next(iter(service.codes or service.orders))
    link = made["next_action"]["payload" if type_ == "upi_qr" else "link"]
    assert link.startswith("upi://pay?ver=01&mode=15&pa=rzr.standin27230053@icici&pn=Stand%20In+Shop&tr=")
    assert link.endswith("&sign=MEQ+/b==")
    service.pay(ref)
    clock.move(60)
    await sweep(counter)
    path = f"/{made['id']}"
    paid = (await counter.get(path)).json()
    assert (paid["status"], paid["totals"]["captured"], paid["next_action"]) == ("succeeded", 1000, None)
    back = await counter.post(f"{path}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["state"]) == (201, "pending")
    for refund in service.refunds.values():
        refund["status"] = "processed"
    clock.move(200)
    await sweep(counter)
    assert (await counter.get(path)).json()["refund_status"] == "full"
    assert service.moved == [("authorize", 1000), ("capture", 1000), ("refund", 1000)]


async def test_a_code_whose_notice_is_lost_is_paid_once(open_counter: Any, service: StandIn, clock: Any) -> None:
    """The list names the payment and nothing of ours; red when what was booked for nobody stays when we learn whose."""
    counter = await open_counter(providers=shop(service), request_timeout=5)
    id_ = (await counter.pay(method={"type": "upi_qr"})).json()["id"]
    service.pay(next(iter(service.codes)))["notes"] = []
    reconciliation = counter.kit.get(Reconciliation)
    for _ in range(2):
        clock.move(700)
        await reconciliation.run("listing", reconciliation.providers.named("shop_in"))
    assert await sums(counter) == {"clearing:shop_in": 1000, "suspense": -1000}
    await sweep(counter)
    assert (await counter.get(f"/{id_}")).json()["status"] == "succeeded"
    assert await sums(counter) == {"clearing:shop_in": 976, "suspense": 0, "payable:merchant": -976}
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        items = (await ctx.session.scalars(select(ReconciliationItemRow))).all()
    assert [(one.kind, one.state) for one in items] == [("missing_here", "resolved")]


async def sums(counter: Any) -> dict[str, int]:
    """Return what each account holds."""
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        return {one.code: one.debit - one.credit for one in await balances(ctx)}


async def test_an_answer_that_was_lost_is_no_second_payment(open_counter: Any, service: StandIn, clock: Any) -> None:
    """Each POST is lost once after the other; the payer sees one link, and one order has it."""
    counter = await open_counter(providers=shop(service), request_timeout=5)
    service.trouble = "fault"
    made = await counter.pay(method={"type": "upi_intent"})
    assert (made.status_code, made.json()["status"]) == (202, "processing")
    service.trouble = ""
    clock.move(10)
    await sweep(counter)
    (shown,) = (await counter.get("")).json()["items"]
    assert (shown["status"], shown["next_action"]["type"]) == ("requires_action", "upi_intent")
    assert len(service.orders) == 1


async def test_a_payment_without_rights_is_not_lost(open_counter: Any, service: StandIn, clock: Any) -> None:
    counter = await open_counter(providers=shop(service), request_timeout=3)
    service.trouble = "unauthorized"
    assert (await counter.pay(method={"type": "upi_qr"})).status_code == 503
    service.trouble = ""
    clock.move(60)
    await sweep(counter)
    assert (await counter.get("")).json()["items"][0]["status"] == "requires_action"


async def test_a_missing_key_ends_the_start(open_counter: Any, service: StandIn) -> None:
    with pytest.raises(ConfigError, match=r"\[payments.providers.shop_in\]: key_secret"):
        await open_counter(providers=shop(service, key_secret=Secret("")))
