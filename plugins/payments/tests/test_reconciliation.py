"""A provider's list against our books: each difference is told once, and repaired only forward."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from recon_desk import Auditor
from sqlalchemy import update
from troubled_desk import CLARA, opened

from corekit.contracts.payments import Evidence, OutcomeUnknown, ProviderCall, TokenMethod
from corekit.data import DatabaseSettings
from corekit.data.outbox import OutboxRow
from corekit.guard.audit_rows import AuditRow
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments import PaymentsPlugin
from corekit_payments.models import OperationRow

QUARTER = 15 * 60


@pytest.fixture
async def auditor(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(database, tmp_path, clock) as desk:
        yield Auditor(desk)


async def paid(auditor: Auditor, means: str = "tok_ok", **options: Any) -> str:
    made = await auditor.desk.pay(means, **options)
    await auditor.desk.drive(made.id)
    return made.id


async def told(auditor: Auditor) -> tuple[int, int]:
    """Count what was emitted and audited of mismatches."""
    events = [one for one in await auditor.rows(OutboxRow) if one.tag == "payments.mismatch_opened"]
    return len(events), len([one for one in await auditor.rows(AuditRow) if one.action == "payments.recon.opened"])


async def test_what_agrees_changes_nothing_and_is_not_asked_for_again(auditor: Auditor) -> None:
    """A capture that came along, a hold, a capture by itself, a refund and a decline."""
    whole, held = await paid(auditor), await paid(auditor, manual=True)
    await auditor.desk.capture(held, 400)
    await auditor.desk.refund(whole, 100)
    await paid(auditor, "tok_declined")
    assert await auditor.counts() == {"listed": 5, "agreed": 5}
    assert await auditor.items() == []
    done = [one for one in await auditor.operations() if one.state == "succeeded" and one.kind != "void"]
    assert all(one.reconciled_at for one in done)
    versions = [one.updated_at for one in await auditor.operations()]
    assert (await auditor.counts())["agreed"] == 5
    assert [one.updated_at for one in await auditor.operations()] == versions


async def test_each_difference_opens_one_item_and_moves_nothing_back(
    auditor: Auditor, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when `_differs` leaves one out, or what failed at the provider is taken over."""
    wrong = {"amount": "amount = 900", "currency": "currency = 'USD'", "state": "state = 'failed'"}
    for change in wrong.values():
        await paid(auditor)
        (*_, operation) = await auditor.operations()
        auditor.falsify(f"UPDATE object SET {change} WHERE ref = ?", operation.provider_ref)  # noqa: S608  # from above
    before = await auditor.sums()
    for after in (60, QUARTER, QUARTER):
        await auditor.counts(after)
    items = {one.kind: one.theirs for one in await auditor.items("open")}
    assert items == {
        "amount": {"state": "succeeded", "amount": {"amount": 900, "currency": "INR"}},
        "currency": {"state": "succeeded", "amount": {"amount": 1000, "currency": "USD"}},
        "state": {"state": "failed", "amount": {"amount": 1000, "currency": "INR"}},
    }
    assert await told(auditor) == (3, 3)
    assert len([one for one in caplog.messages if "payments_mismatch_opened" in one]) == 3
    assert await auditor.sums() == before
    assert {one.state for one in await auditor.operations()} == {"succeeded"}


async def test_money_that_nobody_here_asked_for_waits_then_is_booked_apart(auditor: Auditor) -> None:
    call = ProviderCall(
        key="elsewhere", reference="ELSEWHERE", kind="authorize", amount=Money(700, "INR"), payment="",
        method=TokenMethod(token="tok_ok"),
    )  # fmt: skip
    await auditor.provider.create(call)
    await auditor.counts()
    assert await auditor.kinds() == [("missing_here", "parked")]
    assert await auditor.sums() == {}
    await auditor.counts(599)
    assert await auditor.kinds() == [("missing_here", "parked")]
    await auditor.counts(1)
    await auditor.counts(QUARTER)
    assert await auditor.kinds() == [("missing_here", "open")]
    assert await told(auditor) == (1, 1)
    assert await auditor.sums() == {"clearing:trouble": 700, "suspense": -700}


async def test_what_is_gone_at_the_provider_is_told_after_a_second_look(auditor: Auditor) -> None:
    """Red when the second half of a run is left out, or a look-up is not asked before it is told."""
    await paid(auditor)
    before = await auditor.sums()
    auditor.falsify("DELETE FROM object")
    await auditor.counts()
    assert {state for _, state in await auditor.kinds()} == {"parked"}
    await auditor.counts(QUARTER)
    await auditor.counts(QUARTER)
    assert await auditor.kinds() == [("missing_there", "open")]  # what it captured has no name of its own
    assert await told(auditor) == (1, 1)
    assert await auditor.sums() == before


async def test_what_comes_up_again_was_never_missing(auditor: Auditor) -> None:
    await paid(auditor)
    auditor.falsify("UPDATE object SET ref = 'away', reference = 'AWAY'")
    await auditor.counts()
    assert {state for _, state in await auditor.kinds()} == {"parked"}
    (operation, *_) = await auditor.operations()
    auditor.falsify("UPDATE object SET ref = ?, reference = ?", operation.provider_ref, operation.reference)
    await auditor.counts()
    kinds = await auditor.kinds()
    assert sorted(kinds) == [("missing_here", "parked"), ("missing_there", "resolved")]
    assert await told(auditor) == (0, 0)


async def test_a_provider_that_is_down_is_not_one_without_our_payments(auditor: Auditor) -> None:
    await paid(auditor)
    auditor.falsify("DELETE FROM object")

    async def down(_: str) -> None:
        raise OutcomeUnknown("down")

    auditor.provider.lookup = down  # type: ignore[method-assign, assignment]
    auditor.clock.move(60)
    assert await auditor.listing() is None
    assert await auditor.items() == []


@pytest.mark.parametrize("lost", [True, False])
async def test_an_answer_that_was_lost_is_learnt_from_the_list(auditor: Auditor, lost: bool) -> None:
    """By our reference on the object where the name is not known here; red when the list is matched by names alone."""
    made = await auditor.desk.pay("tok_lost_after" if lost else "tok_3ds")
    await auditor.desk.attempt(made.id)
    if not lost:
        (waiting,) = await auditor.operations()
        await auditor.provider.decide(waiting.provider_ref or "", approve=True)
    assert (await auditor.counts())["repaired"] == 1
    assert await auditor.desk.state(made.id) == "succeeded"
    assert await auditor.items() == []
    assert (await auditor.sums())["clearing:trouble"] == 1000


async def test_a_refusal_that_was_none_is_a_late_success_and_an_item_that_is_resolved(auditor: Auditor) -> None:
    await paid(auditor, "tok_declined")
    auditor.falsify("UPDATE object SET state = 'succeeded', error = NULL")
    assert (await auditor.counts())["repaired"] == 1
    assert await auditor.kinds() == [("state", "resolved")]
    assert await told(auditor) == (1, 1)
    assert "payments.operation.late" in {one.action for one in await auditor.rows(AuditRow)}
    assert (await auditor.sums())["clearing:trouble"] == 1000
    assert await auditor.counts() == {"listed": 1, "agreed": 1}


async def test_two_objects_of_one_operation_are_a_double_charge(auditor: Auditor) -> None:
    """Red when an object with our reference is taken for the operation whatever it is called."""
    await paid(auditor)
    auditor.falsify(
        "INSERT INTO object (ref, reference, kind, means, state, amount, currency, automatic, parent, error, at, looks)"
        " SELECT 'sb_again', reference, kind, means, state, amount, currency, automatic, parent, error, at, looks"
        " FROM object"
    )
    for _ in range(2):
        await auditor.counts()
    assert await auditor.kinds() == [("reference", "open")]
    assert (await auditor.sums())["clearing:trouble"] == 1000


async def test_a_refund_that_came_back_is_told_and_not_undone(auditor: Auditor) -> None:
    await auditor.desk.refund(await paid(auditor), 300)
    before = await auditor.sums()
    auditor.falsify("UPDATE object SET state = 'failed' WHERE kind = 'refund'")
    await auditor.counts()
    assert await auditor.kinds() == [("refund_returned", "open")]
    assert await auditor.sums() == before


async def test_a_capture_at_their_desk_becomes_ours_where_it_is_whole(auditor: Auditor) -> None:
    """What is held here and was taken there: the whole is booked, of a part a person is told."""
    await paid(auditor, manual=True)
    auditor.falsify("UPDATE object SET automatic = 1")
    assert (await auditor.counts())["repaired"] == 1
    assert [one.kind for one in await auditor.operations()] == ["authorize", "capture"]
    async with auditor.kit.caller().system("payments").begin() as ctx:
        await ctx.session.execute(update(OperationRow).where(OperationRow.kind == "capture").values(amount=400))
    await auditor.counts()
    assert await auditor.kinds() == [("amount", "open")]


async def test_what_was_released_here_is_no_difference(auditor: Auditor) -> None:
    made = await paid(auditor, manual=True)
    async with auditor.kit.caller(CLARA).system("payments").begin() as ctx:
        await auditor.desk.payments.cancel(ctx, made, "not wanted")
    await auditor.desk.drive(made)
    auditor.falsify("UPDATE object SET state = 'canceled' WHERE kind = 'authorize'")
    await auditor.counts()
    assert await auditor.items() == []


async def test_by_the_calendar_each_instance_is_run_whatever_another_does(auditor: Auditor) -> None:
    """Red when an adapter that breaks keeps the next one waiting, or its run is left as if it went on."""
    await paid(auditor)
    auditor.clock.move(86400)
    (plugin,) = (one for one in auditor.kit.plugins if isinstance(one, PaymentsPlugin))
    auditor.provider.list_since = None  # type: ignore[method-assign, assignment]  # a bug of its adapter
    caller = auditor.kit.caller().system("payments")
    await plugin.reconcile(caller)
    await plugin.settle(caller)
    await plugin.expire_holds(caller)
    assert {(one.stream, one.provider, one.state, one.lease_until) for one in await auditor.runs()} == {
        ("listing", "sandbox", "ended", None), ("settlement", "sandbox", "ended", None),
        ("listing", "trouble", "failed", None), ("settlement", "trouble", "ended", None),
    }  # fmt: skip
    assert (await auditor.sums())["bank"] == 1000


async def test_no_question_is_asked_inside_a_transaction(auditor: Auditor) -> None:
    await paid(auditor)
    auditor.falsify("DELETE FROM object")
    before, provider = auditor.provider.fetch, auditor.provider

    async def asked(ref: str) -> Evidence:
        auditor.kit.caller().demand_free("fetch")
        return await before(ref)

    provider.fetch = asked  # type: ignore[method-assign]
    assert (await auditor.counts())["sought"] == 1
