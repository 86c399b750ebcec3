"""What becomes of a payment when it is driven: by its request, by the sweeper, and after whatever was lost."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from troubled_desk import ALICE, BOB, opened

from corekit.contracts.payments import (
    Capabilities,
    NotAttempted,
    OutcomeUnknown,
    TokenMethod,
)
from corekit.data import DatabaseSettings
from corekit.errors import NotFound, Refused
from corekit.testing import FakeClock
from corekit.values import parse_id
from corekit_payments.errors import AmountExceedsRemaining, AttemptUnresolved, OperationOpen, PaymentState
from corekit_payments.holding import Holding
from corekit_payments.sandbox import CAPABILITIES, Journal, journal_of

OpenDesk = Callable[..., Any]


@pytest.fixture
async def open_desk(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[OpenDesk]:
    """Give a way to open a desk whose kit sweeps, or whose provider can do less."""
    async with AsyncExitStack() as stack:
        yield lambda **given: stack.enter_async_context(opened(database, tmp_path, clock, **given))


async def test_a_payment_succeeds_and_is_partly_given_back(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    paid = await desk.drive((await desk.pay()).id)
    assert (paid.status, paid.totals.captured) == ("succeeded", 1000)
    back = await desk.refund(paid.id, 400)
    assert (back.refund_status, back.totals.refunded) == ("partial", 400)
    with pytest.raises(AmountExceedsRemaining) as refused:
        await desk.refund(paid.id, 601)
    assert refused.value.extensions["remaining"] == 600
    assert desk.effects() == [("authorize", 1000), ("capture", 1000), ("refund", 400)]


async def test_what_is_held_is_taken_in_parts_and_never_more(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    held = await desk.drive((await desk.pay(manual=True)).id)
    assert held.status == "requires_capture"
    assert (await desk.capture(held.id, 300, final=False)).status == "partially_captured"
    with pytest.raises(AmountExceedsRemaining):
        await desk.capture(held.id, 701)
    done = await desk.capture(held.id, 200)
    assert (done.status, done.totals.captured) == ("succeeded", 500)
    with pytest.raises(PaymentState):
        await desk.capture(held.id, 1)
    assert desk.effects() == [("authorize", 1000), ("capture", 300), ("capture", 200)]


async def test_who_may_not_capture_or_refund(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    held = await desk.drive((await desk.pay(manual=True)).id)
    for verb in (desk.capture, desk.refund):
        with pytest.raises(Refused):
            await verb(held.id, who=ALICE)
        with pytest.raises(NotFound):
            await verb(held.id, who=BOB)
    with pytest.raises(NotFound):
        await desk.drive(held.id, who=BOB)


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "declined"), ("tok_funds", "funds")])
async def test_a_refused_attempt_can_be_followed_by_another(open_desk: OpenDesk, token: str, reason: str) -> None:
    desk = await open_desk()
    refused = await desk.drive((await desk.pay(token)).id)
    assert refused.status == "requires_payment_method"
    assert refused.decline is not None
    assert refused.decline.reason == reason
    async with desk.kit.caller(ALICE).system("payments").begin() as ctx:
        await desk.payments.confirm(ctx, refused.id, TokenMethod(token="tok_ok", provider="trouble"))
    assert (await desk.drive(refused.id)).status == "succeeded"


@pytest.mark.parametrize("token", ["tok_lost_before", "tok_lost_after", "tok_stored_500", "tok_slow_lookup"])
async def test_a_lost_answer_charges_once(open_desk: OpenDesk, token: str) -> None:
    """Red when an unknown outcome draws a new key, or is taken for a failure."""
    desk = await open_desk()
    paid = await desk.attempt((await desk.pay(token)).id)
    assert paid.status == "processing"
    with pytest.raises(AttemptUnresolved):
        async with desk.kit.caller(ALICE).system("payments").begin() as ctx:
            await desk.payments.confirm(ctx, paid.id, TokenMethod(token="tok_ok", provider="trouble"))
    for _ in range(5):
        desk.clock.move(600)
        paid = await desk.attempt(paid.id)
        if paid.status == "succeeded":
            break
    assert paid.status == "succeeded"
    assert desk.effects() == [("authorize", 1000), ("capture", 1000)]


async def test_without_keys_it_is_looked_for_before_it_is_sent_again(open_desk: OpenDesk) -> None:
    """Red when `step_of` sends what may have been sent to a provider that knows no keys."""
    without = Capabilities(
        methods=CAPABILITIES.methods, currencies=CAPABILITIES.currencies, keys=False,
        lookup_settles_after=timedelta(minutes=1),
    )  # fmt: skip
    desk = await open_desk(capabilities=without)
    desk.trouble.provider.after = OutcomeUnknown("lost")
    paid = await desk.attempt((await desk.pay()).id)
    assert paid.status == "processing"
    assert (await desk.drive(paid.id)).status == "succeeded"
    desk.trouble.provider.before = OutcomeUnknown("lost on its way")
    other = await desk.attempt((await desk.pay()).id)
    assert (await desk.attempt(other.id)).status == "processing"  # it may be on its way still
    desk.clock.move(120)
    assert (await desk.drive(other.id)).status == "succeeded"
    assert desk.effects() == [("authorize", 1000), ("capture", 1000)] * 2


async def test_after_the_window_of_its_key_nothing_is_sent(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.trouble.provider.before = OutcomeUnknown("lost")
    lost = await desk.attempt((await desk.pay()).id)
    desk.clock.move(20 * 3600)
    reviewed = await desk.attempt(lost.id)
    assert (reviewed.status, reviewed.review) == ("needs_review", "unknown")
    assert desk.trouble.provider.calls == 1
    assert desk.effects() == []


async def test_what_was_not_attempted_is_sent_again_or_gives_way(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.trouble.provider.before = NotAttempted("no route")
    first = await desk.attempt((await desk.pay()).id)
    assert await desk.state(first.id) == "sending"
    assert (await desk.drive(first.id)).status == "succeeded"
    desk.trouble.provider.before = NotAttempted("no route")
    second = await desk.attempt((await desk.pay()).id)
    async with desk.kit.caller(ALICE).system("payments").begin() as ctx:
        canceled = await desk.payments.cancel(ctx, second.id, "changed my mind")
    assert canceled.status == "canceled"
    assert desk.effects() == [("authorize", 1000), ("capture", 1000)]


async def test_no_wait_ends_no_work_and_no_call_holds_a_context(open_desk: OpenDesk) -> None:
    """Red when the driver is the waiter's own task, or calls inside a context: SQLite has one writing slot."""
    desk = await open_desk()
    gate = desk.trouble.provider.gate = asyncio.Event()
    paid = await desk.pay()
    assert (await desk.drive(paid.id, timeout=0)).status == "processing"
    while not desk.trouble.provider.calls:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        other = await desk.pay(provider="sandbox")  # another write gets through
    with pytest.raises(OperationOpen):
        async with desk.kit.caller(ALICE).system("payments").begin() as ctx:
            await desk.payments.cancel(ctx, paid.id, "too late")
    waiter = asyncio.create_task(desk.drive(paid.id))
    await asyncio.sleep(0.05)
    waiter.cancel()
    gate.set()
    assert (await desk.drive(paid.id)).status == "succeeded"
    assert desk.trouble.provider.calls == 1
    assert (await desk.drive(other.id)).status == "succeeded"


async def test_a_driver_that_lost_its_lease_writes_nothing(open_desk: OpenDesk) -> None:
    """Red when `apply` or `end` does not compare the token."""
    desk = await open_desk()
    gate = desk.trouble.provider.gate = asyncio.Event()
    paid = await desk.pay()
    await desk.drive(paid.id, timeout=0)
    while not desk.trouble.provider.calls:
        await asyncio.sleep(0.01)
    desk.clock.move(120)
    async with desk.kit.caller(ALICE).begin(readonly=True) as ctx:
        operation = parse_id("pop", (await desk.payments.operations(ctx, paid.id))[0].id)
    holding: Holding = desk.payments._driver._holding  # another process's
    taken = await holding.take(operation, None)
    assert taken is not None
    gate.set()
    await asyncio.sleep(0.3)
    assert await desk.state(paid.id) == "sending"
    await holding.end(taken, await taken.provider.create(taken.call), "sweeper")
    assert await desk.state(paid.id) == "succeeded"
    assert desk.effects() == [("authorize", 1000), ("capture", 1000)]


async def test_the_sweeper_drives_what_nobody_waits_for(open_desk: OpenDesk) -> None:
    desk = await open_desk(sweep=True)
    paid = await desk.pay()
    async with asyncio.timeout(15):
        while await desk.state(paid.id) != "succeeded":
            await asyncio.sleep(0.05)
    lost = await desk.pay("tok_lost_after")
    async with asyncio.timeout(15):
        while await desk.state(lost.id) != "unknown":
            await asyncio.sleep(0.05)
        desk.clock.move(60)
        while await desk.state(lost.id) != "succeeded":
            await asyncio.sleep(0.05)


async def test_who_must_act_has_a_day(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    asked = await desk.drive((await desk.pay("tok_3ds")).id)
    assert asked.status == "requires_action"
    assert asked.next_action is not None
    holding: Holding = desk.payments._driver._holding
    async with desk.kit.caller(ALICE).begin(readonly=True) as ctx:
        (operation,) = await desk.payments.operations(ctx, asked.id)
    await desk.trouble.provider.decide(operation.provider_ref, approve=True)
    desk.clock.move(60)
    for found, tenant in await holding.due(10):
        await desk.payments._driver.start(found, tenant, "sweeper")
    assert await desk.state(asked.id) == "succeeded"
    late = await desk.drive((await desk.pay("tok_upi_qr")).id)
    desk.clock.move(25 * 3600)
    for found, tenant in await holding.due(10):
        await desk.payments._driver.start(found, tenant, "sweeper")
    assert await desk.state(late.id) == "canceled"


async def test_the_journal_is_where_the_data_is(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    await desk.drive((await desk.pay(provider="sandbox")).id)
    journal = Journal(journal_of(desk.kit.database.data_dir, "sandbox"))
    assert [one.kind for one in journal.effects()] == ["authorize", "capture"]
