"""Disputes: opened by the provider, booked at once, in any order the same, and no refund beside an open one."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from corekit.contracts.payments import DisputeOpened, Evidence
from corekit.data.outbox import OutboxRow
from corekit.errors import Invalid
from corekit.values import Money
from corekit_payments.books import lock
from corekit_payments.disputes import Disputes, open_dispute, warn_of_deadlines
from corekit_payments.errors import AmountExceedsRemaining, DisputeOpen
from corekit_payments.models import OperationRow
from corekit_payments.moving import begin_refund

PAID = {"clearing:sandbox": 1000, "payable": -1000}
OPEN = {"clearing:sandbox": 0, "payable": -1000, "disputes": 1000}


async def paid(till: Any, say: Any, **fields: Any) -> UUID:
    payment: UUID = await till.payment(**fields)
    tenant = fields.get("tenant")
    operation = await till.begin(payment, tenant=tenant)
    await till.apply(operation, say("succeeded", amount=1000, captured=1000, provider_ref=f"pi_{payment}"), tenant)
    return payment


def word(
    say: Any, state: str = "pending", *, hours: float = 0, amount: int = 1000, ref: str = "dp_1", **more: Any
) -> Any:
    said: Evidence = say(state, "event", amount=amount, provider_ref=ref, **more)
    return replace(said, occurred_at=said.occurred_at + timedelta(hours=hours))


async def learn(till: Any, payment: UUID, evidence: Evidence) -> Any:
    return await till.kit.get(Disputes).learn("sandbox", f"pi_{payment}", evidence)


async def dispute_of(till: Any, payment: UUID) -> OperationRow:
    (found,) = [one for one in (await till.books(payment)).operations if one.kind == "dispute"]
    return found


async def test_the_provider_takes_it_at_once_and_keeps_it_where_it_is_lost(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    assert await till.sums() == PAID
    await learn(till, payment, word(say, stage="opened"))
    row = (await till.books(payment)).payment
    assert (row.status, row.dispute_status, row.disputed, await till.sums()) == ("succeeded", "opened", 1000, OPEN)
    await learn(till, payment, word(say, stage="under_review", hours=1))
    assert (await till.books(payment)).payment.dispute_status == "under_review"
    await learn(till, payment, word(say, "succeeded", hours=2))
    row = (await till.books(payment)).payment
    assert (row.status, row.dispute_status, row.disputed) == ("succeeded", "lost", 1000)
    assert await till.sums() == {"clearing:sandbox": 0, "payable": 0, "disputes": 0}
    told = [name for name in await till.events() if name.startswith("dispute")]
    assert told == ["dispute_closed", "dispute_opened"]
    assert [one for one in await till.audited() if one.startswith("dispute")] == ["dispute.closed", "dispute.opened"]


@pytest.mark.parametrize("end", ["canceled", "failed"])
async def test_what_is_won_comes_back_and_lost_later_it_is_the_payees_to_bear(till: Any, say: Any, end: str) -> None:
    payment = await paid(till, say)
    await learn(till, payment, word(say))
    await learn(till, payment, word(say, end))
    row = (await till.books(payment)).payment
    assert (row.dispute_status, row.disputed) == ("won", 0)
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000, "disputes": 0}
    assert (await learn(till, payment, word(say, "succeeded"))).outcome == "late"
    assert (await till.books(payment)).payment.dispute_status == "lost"
    assert await till.sums() == {"clearing:sandbox": 0, "payable": 0, "disputes": 0}


async def test_any_order_and_repetition_ends_the_same(till: Any, say: Any) -> None:
    """Red when what arrives last decides on stage and deadline, or a second notice opens a second dispute."""
    due = say("pending").occurred_at
    words = [
        word(say, stage="opened", expires_at=due + timedelta(days=7)),
        word(say, stage="under_review", hours=1),
        word(say, stage="opened", hours=2, expires_at=due + timedelta(days=9)),
    ]
    ends = set()
    for number, order in enumerate([*permutations(words), [*words, *words]]):
        payment = await paid(till, say)
        for one in order:
            await learn(till, payment, Evidence(**{name: getattr(one, name) for name in one.__struct_fields__}
                                                | {"provider_ref": f"dp_{number}"}))  # fmt: skip
        dispute = await dispute_of(till, payment)
        ends.add((dispute.state, dispute.stage, dispute.expires_at, (await till.books(payment)).payment.disputed))
    assert ends == {("pending", "opened", due + timedelta(days=9), 1000)}


async def test_two_notices_at_once_open_one(till: Any, say: Any) -> None:
    """Red when it is looked for before the payment is locked, and not after."""
    payment = await paid(till, say)
    words = [word(say, stage="opened"), word(say, "succeeded", hours=1), word(say, stage="under_review", hours=0.5)]
    await asyncio.gather(*(learn(till, payment, one) for one in words))
    assert (await dispute_of(till, payment)).state == "succeeded"
    assert await till.sums() == {"clearing:sandbox": 0, "payable": 0, "disputes": 0}


async def test_the_end_may_be_heard_first(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    for state in ("succeeded", "pending", "succeeded"):
        await learn(till, payment, word(say, state))
    assert (await till.books(payment)).payment.dispute_status == "lost"
    assert await till.sums() == {"clearing:sandbox": 0, "payable": 0, "disputes": 0}


async def test_an_unknown_word_leaves_it_open_and_nothing_in_hand(till: Any, say: Any) -> None:
    """Red when it is stored as unknown: it would block every other operation, and a driver would look for it."""
    payment = await paid(till, say)
    for state in ("unknown", "requires_action"):
        await learn(till, payment, word(say, state))
    dispute = await dispute_of(till, payment)
    assert (dispute.state, dispute.stage, dispute.sends) == ("pending", "opened", 0)
    assert (await till.books(payment)).in_hand() is None


async def test_nothing_is_given_back_beside_it_and_never_twice(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    await learn(till, payment, word(say, amount=700))

    async def refund(amount: int | None) -> int:
        async with till.caller().begin() as ctx:
            money = None if amount is None else Money(amount, "INR")
            books = await lock(ctx, payment)
            operation = await begin_refund(books, money, "torn", books.payment.payer)
            left: int = operation.amount
            ctx.session.expunge(operation)  # only asked
            return left

    with pytest.raises(DisputeOpen):
        await refund(100)
    await learn(till, payment, word(say, "succeeded", amount=700))
    with pytest.raises(AmountExceedsRemaining) as refused:
        await refund(301)
    assert refused.value.extensions == {"remaining": 300}
    assert await refund(None) == 300


async def test_a_dispute_of_a_surplus_is_the_surplus_to_bear(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    other = await till.begin(payment, state="failed")
    await till.apply(other, say("succeeded", amount=1000, captured=1000, provider_ref="pi_other"))
    await till.kit.get(Disputes).learn("sandbox", "pi_other", word(say))
    assert (await till.books(payment)).payment.dispute_status == "none"
    await till.kit.get(Disputes).learn("sandbox", "pi_other", word(say, "succeeded"))
    assert (await till.books(payment)).payment.disputed == 0
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000, "suspense": 0, "disputes": 0}


async def test_what_is_not_ours_opens_nothing(till: Any, say: Any) -> None:
    payment, other = await paid(till, say), UUID(int=2)
    assert await till.kit.get(Disputes).learn("sandbox", "pi_of_nobody", word(say)) is None
    assert await till.kit.get(Disputes).learn("elsewhere", f"pi_{payment}", word(say)) is None
    async with till.caller(tenant=other).begin() as ctx:
        assert await open_dispute(ctx, "sandbox", f"pi_{payment}", word(say)) is None
    for broken in ({"provider_ref": None}, {"amount": None}, {"amount": Money(0, "INR")}):
        said = word(say)
        with pytest.raises(Invalid):
            await learn(till, payment, replace(said, **broken))
    assert await till.sums() == PAID
    theirs = await paid(till, say, tenant=other)
    assert (await learn(till, theirs, word(say, ref="dp_2"))).status == "succeeded"
    assert (await till.books(theirs, other)).payment.disputed == 1000


async def test_what_cannot_be_booked_is_for_a_person(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    said = word(say)
    dollars = replace(said, amount=Money(9, "USD"))
    for _ in range(2):
        assert (await learn(till, payment, dollars)).outcome == "refused"
    assert [item.kind for item in await till.items()] == ["currency"]
    await learn(till, payment, said)
    assert (await learn(till, payment, word(say, amount=1001))).outcome == "refused"
    assert [item.kind for item in await till.items()] == ["currency", "amount"]
    assert (await till.books(payment)).payment.disputed == 1000


async def test_the_deadline_is_kept_told_and_warned_of(till: Any, say: Any, clock: Any) -> None:
    payment, due = await paid(till, say), clock.now() + timedelta(days=7)
    await learn(till, payment, word(say, stage="opened", expires_at=due))
    (told,) = [row for row in await till.rows(OutboxRow) if row.tag == DisputeOpened.__struct_config__.tag]
    assert b'"respond_by"' in told.payload

    async def warned() -> int:
        async with till.caller().begin() as ctx:
            return await warn_of_deadlines(ctx)

    assert await warned() == 0
    clock.move(5 * 86400)
    assert await warned() == 1
    await learn(till, payment, word(say, stage="under_review", hours=1))
    assert await warned() == 0
