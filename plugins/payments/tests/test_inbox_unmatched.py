"""Notices of what is not known here: they wait, and then money that is nobody's is booked apart and told of."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from webhook_office import PostOffice

from corekit.contracts.payments import OutcomeUnknown, ProviderCall, TokenMethod
from corekit.testing import FakeClock
from corekit.values import Money
from corekit_payments.ledger import LedgerTransactionRow, balances, broken
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.sandbox.notices import HEADER
from corekit_payments.signing import sign


@pytest.fixture
def office(counter: Any) -> PostOffice:
    return PostOffice(counter)


async def foreign(office: PostOffice, means: str = "tok_ok", kind: str = "authorize") -> None:
    """Have something paid at the provider by somebody else than this kit."""
    call = ProviderCall(
        key="elsewhere", reference="ELSEWHERE", kind="authorize", amount=Money(700, "INR"), payment="",
        method=TokenMethod(token=means),
    )  # fmt: skip
    paid = await office.sandbox.create(call)
    if kind == "refund":
        back = msgspec.structs.replace(call, key="b", reference="BACK", kind="refund", provider_ref=paid.provider_ref)
        await office.sandbox.refund(back)


async def test_money_for_nothing_of_ours_waits_ten_minutes_then_is_booked_apart(
    counter: Any, office: PostOffice, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await foreign(office)
    await office.deliver()
    assert await office.work() == ["parked"]
    clock.move(599)
    assert await office.work() == ["parked"]
    assert await office.table(ReconciliationItemRow) == []
    clock.move(1)
    assert await office.work() == ["unmatched"]
    (item,) = await office.table(ReconciliationItemRow)
    assert (item.kind, item.provider, item.our_ref, item.state) == ("missing_here", "sandbox", "", "open")
    assert item.theirs == {"state": "succeeded", "amount": {"amount": 700, "currency": "INR"}}
    assert any("payments_mismatch_opened" in one for one in caplog.messages)
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert await broken(ctx) == {}
        sums = {one.code: (one.debit, one.credit) for one in await balances(ctx)}
    assert sums == {"clearing:sandbox": (700, 0), "suspense": (0, 700)}


@pytest.mark.parametrize("early", [True, False])
async def test_each_of_its_notices_books_it_but_once(
    counter: Any, office: PostOffice, clock: FakeClock, early: bool
) -> None:
    """The payer has to act, then the money moves: one item and one pair, whichever of the two is worked on when."""
    await foreign(office, "tok_3ds")
    await office.deliver()
    (row,) = await office.rows()
    if early:
        clock.move(10 * 60)
        assert await office.work() == ["unmatched"]
        assert await office.table(LedgerTransactionRow) == []
    await office.sandbox.decide(row.event["provider_ref"], approve=True)
    await office.deliver(*office.sandbox.notices(copies=2, seed=1))
    clock.move(10 * 60)
    assert await office.work() == ["unmatched"] * 2
    assert len(await office.table(ReconciliationItemRow)) == 1
    assert [one.kind for one in await office.table(LedgerTransactionRow)] == ["unmatched"]
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert await broken(ctx) == {}


async def test_money_that_somebody_else_gave_back_is_booked_the_other_way(
    counter: Any, office: PostOffice, clock: FakeClock
) -> None:
    await foreign(office, kind="refund")
    await office.deliver()
    clock.move(10 * 60)
    assert await office.work() == ["unmatched"] * 2
    assert sorted(one.kind for one in await office.table(LedgerTransactionRow)) == ["unmatched", "unmatched_refund"]
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert {one.code: one.debit - one.credit for one in await balances(ctx)} == {
            "clearing:sandbox": 0,
            "suspense": 0,
        }


async def test_what_cannot_be_fetched_is_told_of_without_its_amount(
    counter: Any, office: PostOffice, clock: FakeClock
) -> None:
    body = {"id": "x", "type": "t", "created": "", "livemode": False,
            "object": {"id": "sb_gone", "kind": "authorize", "reference": "GONE"}}  # fmt: skip
    raw = msgspec.json.encode(body)
    await office.deliver(({HEADER: sign(raw, office.sandbox._keys()[0], clock.now())}, raw))
    assert await office.work() == ["parked"]
    clock.move(10 * 60)
    with pytest.raises(OutcomeUnknown):
        await office.work()
    assert [(row.state, row.error) for row in await office.rows()] == [("received", "OutcomeUnknown")]
    clock.move(3600)
    assert await office.work() == ["unmatched"]
    (item,) = await office.table(ReconciliationItemRow)
    assert (item.their_ref, item.theirs) == ("sb_gone", {})


async def test_a_parked_notice_finds_its_operation_when_that_is_known(
    counter: Any, office: PostOffice, clock: FakeClock
) -> None:
    """Red when an unknown reference is given up at once, or a parked one is not looked at again."""
    id_ = await office.approved(counter)
    (operation,) = await office.table(OperationRow)
    known = {"reference": operation.reference, "provider_ref": operation.provider_ref}
    for names, state in (({"reference": "NOT YET", "provider_ref": None}, "parked"), (known, "applied")):
        async with counter.kit.caller().system("payments").begin() as ctx:
            await ctx.session.execute(update(OperationRow).values(names))
        await office.deliver()
        clock.move(1 * 60)
        assert await office.work() == [state] * 2
    assert (await counter.get(f"/{id_}")).json()["status"] == "succeeded"
