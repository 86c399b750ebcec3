"""What is held and not taken ends: by its provider's word in any order, or by its own time after another look."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from recon_desk import Auditor
from troubled_desk import opened

from corekit.contracts.payments import Evidence, OutcomeUnknown
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock
from corekit_payments import PaymentsPlugin
from corekit_payments.errors import PaymentState
from corekit_payments.recon import Reconciliation

WEEK = timedelta(days=7)


@pytest.fixture
async def auditor(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(database, tmp_path, clock) as desk:
        yield Auditor(desk)


def at(evidence: Evidence, hours: float) -> Evidence:
    return replace(evidence, occurred_at=evidence.occurred_at + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("newest", "taken", "ends"),
    [
        ("canceled", False, ("canceled", True)),
        ("succeeded", False, ("requires_capture", False)),
        ("canceled", True, ("succeeded", True)),
        ("succeeded", True, ("partially_captured", False)),
    ],
)
async def test_the_newest_word_on_a_hold_counts_in_any_order(
    till: Any, say: Any, newest: Any, taken: bool, ends: tuple[str, bool]
) -> None:
    """Red when what arrives last decides, when a hold that is over is still captured from, or ranks alone count.

    A part that was captured stays: of it the rest is released.
    """
    held, over = at(say("succeeded", "reply"), 0), at(say("canceled"), 1)
    words = [held, over, at(say(newest), 2), at(say("canceled", "event"), 9)]
    found = set()
    for order in [*permutations(words), words * 2]:
        payment = await till.payment(capture_method="manual")
        operation = await till.begin(payment, state="succeeded" if taken else "sending")
        if taken:
            attempt = (await till.books(payment)).operations[0].attempt_id
            await till.begin(payment, "capture", 400, attempt=attempt, final=False, state="succeeded")
        for word in order:
            await till.apply(operation, word)
        books = await till.books(payment)
        found.add((books.payment.status, books.operations[0].released))
    assert found == {ends}


async def test_a_capture_on_its_way_decides(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment(capture_method="manual"), state="succeeded")
    attempt = (await till.books(payment)).operations[0].attempt_id
    capture = await till.begin(payment, "capture", 1000, attempt=attempt)
    assert (await till.apply(operation, say("canceled"))).status == "processing"
    assert (await till.apply(capture, say("failed", error_class="expired"))).status == "canceled"
    assert (await till.apply(capture, say("succeeded"))).status == "succeeded"
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000}


async def test_who_was_too_slow_to_pay_has_ended_no_hold(till: Any, say: Any) -> None:
    """Red when our own end of an attempt is taken for the end of what it holds in the end."""
    operation = await till.begin(payment := await till.payment(capture_method="manual"), state="requires_action")
    await till.apply(operation, at(say("canceled", "local"), 5))
    assert (await till.apply(operation, say("succeeded"))).status == "requires_capture"
    assert not (await till.books(payment)).operations[0].released


async def held(auditor: Auditor) -> str:
    """Hold some money for a week."""
    create = auditor.provider.create

    async def for_a_week(call: Any) -> Evidence:
        return replace(await create(call), expires_at=auditor.clock.now() + WEEK)

    auditor.provider.create = for_a_week  # type: ignore[method-assign]
    made = await auditor.desk.pay(manual=True)
    assert (await auditor.desk.drive(made.id)).status == "requires_capture"
    return made.id


async def status(auditor: Auditor, payment: str) -> str:
    async with auditor.kit.caller().system("payments").begin(readonly=True) as ctx:
        return (await auditor.desk.payments.get(ctx, payment)).status


async def test_its_own_time_ends_it_once_its_provider_has_been_asked(
    auditor: Auditor, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when it ends without a look, before its time, or is told twice."""
    payment, holds = await held(auditor), auditor.kit.get(Reconciliation)
    (plugin,) = (one for one in auditor.kit.plugins if isinstance(one, PaymentsPlugin))
    auditor.clock.move(WEEK.total_seconds() - 60)
    assert await holds.expire_holds() == 0
    async with auditor.kit.caller().system("payments").begin() as ctx:
        await plugin.recon_alerts(ctx)
    assert [one for one in caplog.messages if "payments_holds_expiring" in one]
    auditor.clock.move(60)
    fetch = auditor.provider.fetch

    async def silent(_: str) -> Evidence:
        raise OutcomeUnknown("silent")

    auditor.provider.fetch = silent  # type: ignore[method-assign]
    assert await holds.expire_holds() == 0
    assert await status(auditor, payment) == "requires_capture"
    auditor.provider.fetch = fetch  # type: ignore[method-assign]
    assert (await holds.expire_holds(), await holds.expire_holds()) == (1, 0)
    assert await status(auditor, payment) == "canceled"
    with pytest.raises(PaymentState):
        await auditor.desk.capture(payment)
    assert [one.tag for one in await auditor.events()].count("payments.payment_canceled") == 1
    assert await auditor.sums() == {}


async def test_what_was_captured_at_the_last_moment_is_learnt_instead(auditor: Auditor) -> None:
    payment = await held(auditor)
    auditor.falsify("UPDATE object SET automatic = 1")
    auditor.clock.move(WEEK.total_seconds())
    assert await auditor.kit.get(Reconciliation).expire_holds() == 1
    assert await status(auditor, payment) == "succeeded"
    assert await auditor.sums() == {"clearing:trouble": 1000, "payable:merchant": -1000}


async def test_one_that_cannot_be_ended_keeps_no_other(auditor: Auditor, caplog: pytest.LogCaptureFixture) -> None:
    """Red when a fault of one hold ends the job: the older ones behind it would never end."""
    older = await held(auditor)
    auditor.clock.move(60)
    newer = await held(auditor)
    auditor.clock.move(WEEK.total_seconds())
    fetch, faults = auditor.provider.fetch, [ValueError("a bug of its adapter")]

    async def faulty(ref: str) -> Evidence:
        if faults:
            raise faults.pop()
        return await fetch(ref)

    auditor.provider.fetch = faulty  # type: ignore[method-assign]
    assert await auditor.kit.get(Reconciliation).expire_holds() == 1
    assert (await status(auditor, older), await status(auditor, newer)) == ("canceled", "requires_capture")
    assert [one for one in caplog.messages if "payments_hold_not_ended" in one]


async def test_the_list_tells_that_it_is_over(auditor: Auditor) -> None:
    """Red when it is told as a difference: nothing has moved, and nobody has anything to do."""
    payment = await held(auditor)
    auditor.falsify("UPDATE object SET state = 'canceled'")
    assert (await auditor.counts())["repaired"] == 1
    assert await status(auditor, payment) == "canceled"
    assert (await auditor.counts()) == {"listed": 1, "agreed": 1}
    assert await auditor.items() == []


async def test_a_look_up_tells_that_it_is_over(counter: Any) -> None:
    held = (await counter.pay(capture_method="manual")).json()
    (operation,) = (await counter.get(f"/{held['id']}/operations")).json()
    journal = Auditor.journal_of(counter.kit)
    with journal.transaction() as db:
        db.execute("UPDATE object SET state = 'canceled'")
    path = f"/payments/v1/operations/{operation['id']}/check"
    answer = await counter.http.post(path, headers={"Authorization": "Bearer olga"})
    assert answer.status_code == 200
    assert (await counter.get(f"/{held['id']}")).json()["status"] == "canceled"
