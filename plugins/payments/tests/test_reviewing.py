"""Review: what is held back is not sent before somebody lets it go, and never after somebody refused."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from corekit.context import Actor
from corekit.contracts.payments import NewPayment, Payments, TokenMethod
from corekit.guard.audit_rows import AuditRow
from corekit.values import Money, typeid, uuid7
from corekit_payments import reading
from corekit_payments.books import lock
from corekit_payments.models import PURPOSE

REASON = "the address fits the order"
METHOD = {"method": {"type": "token", "token": "tok_ok"}}


async def held_back(counter: Any, review: Any = "fraud") -> str:
    """Let Alice pay, and hold it back in the same transaction, as a rule of ours does."""
    new = NewPayment(amount=Money(1000, "INR"), method=TokenMethod(token="tok_ok"), confirm=True)
    async with counter.kit.caller(Actor("alice")).system(PURPOSE).begin() as ctx:
        made = await ctx.get(Payments).create(ctx, new)
        books = await lock(ctx, reading.parsed(made.id))
        operation = books.in_hand()
        assert operation is not None
        operation.review = review
        if review == "unknown":
            operation.state, operation.sends = "unknown", 1
        books.settle_columns()
    return str(made.id)


async def drive(counter: Any, payment: str) -> Any:
    return await counter.kit.get(Payments).drive(counter.kit.caller(Actor("alice")), payment)


async def decide(counter: Any, payment: str, verdict: Any, who: str = "rita", reason: Any = REASON) -> Any:
    return await counter.post(f"/{payment}/review", {"verdict": verdict, "reason": reason}, who)


async def entries(counter: Any) -> list[AuditRow]:
    async with counter.kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        found = await ctx.session.scalars(select(AuditRow).where(AuditRow.action == "payments.payment.reviewed"))
        return list(found)


async def test_nothing_is_sent_before_it_is_let_go(counter: Any) -> None:
    """Red when a driver takes what waits, or `accept` leaves the reason."""
    payment = await held_back(counter)
    assert (await drive(counter, payment)).status == "needs_review"
    assert counter.effects() == []
    answer = await decide(counter, payment, "accept")
    assert (answer.status_code, answer.json()["status"], answer.json()["review"]) == (200, "processing", None)
    assert (await drive(counter, payment)).status == "succeeded"
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]
    (entry,) = await entries(counter)
    assert (entry.actor, entry.details) == (
        Actor("rita").id,
        {"via": "operator", "verdict": "accept", "reason": REASON, "before": "needs_review", "after": "processing"},
    )


async def test_nothing_is_ever_sent_after_it_was_refused(counter: Any, clock: Any) -> None:
    payment = await held_back(counter)
    answer = await decide(counter, payment, "reject")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["decline"] == {"reason": "blocked"}
    clock.move(86400)
    assert (await drive(counter, payment)).status == "failed"
    again = await counter.post(f"/{payment}/confirm", METHOD)
    assert (again.status_code, again.json()["type"]) == (409, "urn:corekit:problem:payment-state")
    assert counter.effects() == []
    assert [entry.details["after"] for entry in await entries(counter)] == ["failed"]


async def test_it_is_decided_once_and_repeated_by_its_key(counter: Any) -> None:
    payment, body = await held_back(counter), {"verdict": "accept", "reason": REASON}
    first, again = [await counter.post(f"/{payment}/review", body, "rita", "look") for _ in range(2)]
    assert (first.status_code, again.content, again.headers["idempotent-replayed"]) == (200, first.content, "true")
    for verdict in ("accept", "reject"):
        late = await decide(counter, payment, verdict)
        assert (late.status_code, late.json()["type"]) == (409, "urn:corekit:problem:payment-state")
    assert len(await entries(counter)) == 1


async def test_of_two_who_decide_at_once_one_does(counter: Any) -> None:
    payment = await held_back(counter)
    answers = await asyncio.gather(*(decide(counter, payment, verdict) for verdict in ("accept", "reject")))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (entry,) = await entries(counter)
    said = next(answer.json() for answer in answers if answer.status_code == 200)
    assert entry.details["after"] == said["status"]
    assert (await counter.get(f"/{payment}")).json()["status"] == said["status"]


async def test_the_payer_does_not_pay_around_it_but_may_give_up(counter: Any) -> None:
    """Red when another attempt ends the one that waits."""
    payment = await held_back(counter)
    other = await counter.post(f"/{payment}/confirm", METHOD)
    problem = other.json()
    assert (other.status_code, problem["status"], problem["payment_status"]) == (409, 409, "needs_review")
    gone = await counter.post(f"/{payment}/cancel", {})
    assert (gone.status_code, gone.json()["status"], gone.json()["review"]) == (200, "canceled", None)
    assert (await decide(counter, payment, "accept")).status_code == 409
    assert (await drive(counter, payment)).status == "canceled"
    assert counter.effects() == []


async def test_what_is_unknown_is_not_for_a_person_to_decide(counter: Any) -> None:
    payment = await held_back(counter, review="unknown")
    for verdict in ("accept", "reject"):
        answer = await decide(counter, payment, verdict)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:corekit:problem:payment-state")
    assert (await counter.get(f"/{payment}")).json()["status"] == "needs_review"
    assert await entries(counter) == []


async def test_only_who_may_review_does(counter: Any) -> None:
    payment = await held_back(counter)
    for who, status in {"alice": 403, "sue": 403, "bob": 404, "clara": 404}.items():
        assert (await decide(counter, payment, "accept", who)).status_code == status, who
    assert (await decide(counter, typeid("pay", uuid7()), "accept")).status_code == 404
    assert (await counter.get(f"/{payment}")).json()["status"] == "needs_review"


@pytest.mark.parametrize(
    ("body", "slug", "pointer"),
    [
        ({"verdict": "accept"}, "invalid", "/reason"),
        ({"verdict": "accept", "reason": "fine"}, "invalid", "/reason"),
        ({"verdict": "accept", "reason": " " * 12}, "invalid", "/reason"),
        ({"verdict": "accept", "reason": "x" * 501}, "invalid", "/reason"),
        ({"verdict": "maybe", "reason": REASON}, "invalid", "/verdict"),
        ({"verdict": "accept", "reason": "card 4111 1111 1111 1111"}, "card-number-refused", "/reason"),
    ],
)
async def test_a_verdict_has_a_reason(counter: Any, body: Any, slug: str, pointer: str) -> None:
    answer = await counter.post(f"/{await held_back(counter)}/review", body, "rita")
    assert (answer.status_code, answer.json()["type"], answer.json()["pointer"]) == (
        422, f"urn:corekit:problem:{slug}", pointer
    )  # fmt: skip
    assert await entries(counter) == []
