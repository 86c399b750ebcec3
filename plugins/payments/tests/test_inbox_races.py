"""Notices beside all else that goes on: each other, the driver's own call, another tenant, a queue that stands."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from webhook_office import PostOffice

from corekit.context import Actor
from corekit.contracts.payments import (
    Evidence,
    NewPayment,
    OutcomeUnknown,
    Payments,
    ProviderCall,
    ProviderEvent,
    TokenMethod,
)
from corekit.data.outbox import OutboxRow
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments.inbox import WebhookInboxRow
from corekit_payments.inbox.processing import Found, _shown
from corekit_payments.ledger import LedgerTransactionRow
from corekit_payments.models import OperationRow
from corekit_payments.sandbox import Sandbox

TENANT = UUID(int=7)


@pytest.fixture
def office(counter: Any) -> PostOffice:
    return PostOffice(counter)


async def test_of_many_at_once_one_is_new_and_asks_for_a_job(counter: Any, office: PostOffice) -> None:
    """Red when it is looked for first and inserted then."""
    await counter.pay()
    (notice,) = office.sandbox.notices()
    answers = await asyncio.gather(*(office.post(notice) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["received"] for answer in answers) == 1
    asked = [row for row in await office.table(OutboxRow) if row.tag == "payments.process_webhook"]
    assert len(asked) == 1


async def test_the_notice_is_worked_on_while_the_driver_waits_for_its_reply(
    open_counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The money has moved, the reply is on its way: both bring the same success, and it is booked once."""
    counter = await open_counter(request_timeout=60)
    office, gate, take = PostOffice(counter), asyncio.Event(), Sandbox._take

    async def late(self: Sandbox, call: ProviderCall) -> Evidence:
        reply = await take(self, call)
        await gate.wait()
        return reply

    monkeypatch.setattr(Sandbox, "_take", late)
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        request = group.create_task(counter.pay())
        while not office.sandbox.notices():
            await asyncio.sleep(0.01)
        await office.deliver()
        assert await office.work() == ["applied"]
        (shown,) = (await counter.get("")).json()["items"]
        assert shown["status"] == "succeeded"
        gate.set()
    answer = request.result()
    assert (answer.status_code, answer.json()["totals"]["captured"]) == (201, 1000)
    assert [one.kind for one in await office.table(LedgerTransactionRow)] == ["capture"]


async def test_a_tenants_payment_is_found_and_stays_theirs(counter: Any, office: PostOffice) -> None:
    """Nothing in a notice names a tenant: the operation does."""
    payments = counter.kit.get(Payments)
    caller = replace(counter.kit.caller(Actor("alice")), tenant=TENANT)
    new = NewPayment(amount=Money(500, "INR"), method=TokenMethod(token="tok_3ds"), confirm=True)
    async with caller.system("payments").begin() as ctx:
        made = await payments.create(ctx, new)
    await payments.drive(caller, made.id)
    async with caller.begin(readonly=True) as ctx:
        (operation,) = await payments.operations(ctx, made.id)
    await office.sandbox.decide(operation.provider_ref or "", approve=True)
    await office.deliver()
    assert await office.work() == ["applied"] * 2
    assert [row.tenant for row in await office.rows()] == [TENANT] * 2
    async with caller.begin(readonly=True) as ctx:
        assert (await payments.get(ctx, made.id)).status == "succeeded"
    assert {row.tenant for row in await office.table(LedgerTransactionRow)} == {TENANT}


async def test_what_else_is_on_its_way_is_looked_at(
    counter: Any, office: PostOffice, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = (await counter.pay(capture_method="manual")).json()
    take = Sandbox._take

    async def lost(self: Sandbox, call: ProviderCall) -> Evidence:
        await take(self, call)
        raise OutcomeUnknown("lost")

    with monkeypatch.context() as patched, counter.impatient():
        patched.setattr(Sandbox, "_take", lost)
        await counter.post(f"/{held['id']}/capture", {}, "clara")
    clock.move(1)
    (_, capture) = await office.table(OperationRow, OperationRow.seq)
    assert capture.state == "unknown"
    assert capture.next_check_at > clock.now()
    await office.deliver(office.sandbox.notices()[0])  # of the authorisation
    await office.work()
    (_, capture) = await office.table(OperationRow, OperationRow.seq)
    assert (capture.state, capture.next_check_at) == ("unknown", clock.now())


async def test_a_release_is_never_fetched() -> None:
    """What is there by its name is the authorisation, and canceled: the release would be taken for canceled itself."""
    event = ProviderEvent(id="1", type="canceled", live=False, provider_ref="pi_1", reference="R")
    nobody: Any = object()  # whoever asks it anything fails
    assert await _shown(nobody, event, Found(UUID(int=1), UUID(int=2), None, "void", "pi_1")) == []


async def test_a_queue_that_stands_is_no_secret(counter: Any, office: PostOffice, clock: FakeClock) -> None:
    health = {check.name: check for plugin in counter.kit.plugins for check in plugin.health()}["payments_webhooks"]
    assert not health.required
    await counter.pay()
    await office.deliver()
    clock.move(300)
    await health.probe()
    clock.move(1)
    with pytest.raises(RuntimeError, match="five minutes"):
        await health.probe()
    await office.work()
    await health.probe()
    assert [row.state for row in await office.table(WebhookInboxRow)] == ["applied"]
