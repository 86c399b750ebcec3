"""What becomes of whole payments when Stripe fails: driver, database and adapter, before the strict stand-in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from stripe_stand_in import KEY, StandIn  # beside this file
from stripe_till import Till, opened

from corekit.data import DatabaseSettings
from corekit.testing import FakeClock
from corekit_payments.errors import AttemptUnresolved


@pytest.fixture
async def till(stand_in: StandIn, database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Till]:
    async with opened(stand_in.address, database, tmp_path, clock, KEY) as one:
        yield one


async def test_a_lost_answer_charges_once(till: Till, stand_in: StandIn, clock: FakeClock) -> None:
    """Red when an unknown outcome is taken for a failure, or sent under another key."""
    for number, fault in enumerate(("stored_500", "drop", "drop_after"), 1):
        stand_in.fail(fault)
        lost = await till.pay(wait=0.3)
        assert lost.status == "processing"
        with pytest.raises(AttemptUnresolved):
            await till.confirm(lost.id, "pm_card_visa")
        clock.move(600)
        found = await till.drive(lost.id)
        assert (found.status, found.totals.captured) == ("succeeded", 1000)
        assert len(stand_in.made("payment_intent")) == number


async def test_what_was_not_attempted_is_sent_again_or_gives_way(till: Till, stand_in: StandIn) -> None:
    for fault in ("429", "401"):
        stand_in.fail(fault)
        waits = await till.pay(wait=0.3)
        assert (await till.operations(waits.id))[-1].state == "sending"
        assert (await till.drive(waits.id)).status == "succeeded"
    stand_in.fail("403")
    given_up = await till.pay(wait=0.3)
    assert (await till.cancel(given_up.id)).status == "canceled"
    assert len(stand_in.made("payment_intent")) == 2


async def test_a_key_that_they_know_with_another_call_is_for_a_person(
    till: Till, stand_in: StandIn, clock: FakeClock
) -> None:
    stand_in.fail("drop")
    lost = await till.pay(wait=0.3)
    (operation,) = await till.operations(lost.id)
    stand_in.keys[operation.id] = "something else", (200, {})
    clock.move(600)
    reviewed = await till.drive(lost.id, wait=0.3)
    assert (reviewed.status, reviewed.review) == ("needs_review", "unknown")
    assert stand_in.made("payment_intent") == []


async def test_a_capture_whose_answer_was_lost_is_found(till: Till, stand_in: StandIn, clock: FakeClock) -> None:
    held = await till.pay(manual=True)
    assert held.authorization_expires_at is not None
    stand_in.fail("drop_after")
    await till.capture(held.id, 300, wait=0.3)
    clock.move(600)
    taken = await till.drive(held.id)
    assert (taken.status, taken.totals.captured) == ("succeeded", 300)
    assert [one["amount_received"] for one in stand_in.made("payment_intent")] == [300]
