"""A surplus that goes back: who is told where that fails, or where more goes back than there was."""

from typing import Any

import httpx
import pytest
from test_recon_items import ask, resolve, rows  # beside this file

from corekit.contracts.payments import Evidence, Payments
from corekit.guard.audit_rows import AuditRow
from corekit.values import Money, typeid
from corekit_payments.applying import apply
from corekit_payments.disputes import Disputes
from corekit_payments.ledger import broken
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.sandbox import Journal, journal_of


async def surplus(counter: Any) -> str:
    """Have a payment paid twice, late, at a provider that gives nothing back; return it."""
    payment: str = (await counter.pay("tok_late")).json()["payment"]
    ok = {"method": {"type": "token", "token": "tok_ok"}}
    assert (await counter.post(f"/{payment}/confirm", ok)).status_code == 200
    attempt = (await counter.get(f"/{payment}/operations")).json()[0]["id"]
    for _ in range(3):
        headers = {"Authorization": "Bearer olga"}
        await counter.http.post(f"/payments/v1/operations/{attempt}/check", headers=headers)
    with Journal(journal_of(counter.kit.database.data_dir, "sandbox")).transaction() as db:
        db.execute("UPDATE object SET means = 'tok_refund_fails'")
    return payment


async def give_back(counter: Any, payment: str) -> tuple[str, httpx.Response]:
    """Resolve what is open of a surplus by a refund, and have that driven."""
    item = (await ask(counter, kind="surplus", status="open")).json()["items"][0]["id"]
    answer = await resolve(counter, item, "refund")
    assert answer.status_code == 200, answer.text
    await counter.kit.get(Payments).drive(counter.kit.caller().system("payments"), payment)
    return item, answer


async def kinds(counter: Any) -> list[tuple[str, str]]:
    return sorted((one.kind, one.state) for one in await rows(counter, ReconciliationItemRow))


async def test_a_surplus_whose_refund_fails_has_another_item(counter: Any) -> None:
    """Red when nobody hears that the money has not gone back, or a repeated request begins another refund."""
    payment = await surplus(counter)
    for other in (await ask(counter, kind="surplus", status="open")).json()["items"][1:]:
        assert (await resolve(counter, other["id"])).status_code == 200
    for failed in (1, 2):
        item, answer = await give_back(counter, payment)
        assert (await resolve(counter, item, "refund")).json() == answer.json()
        refunds = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
        assert [(one.state, one.amount) for one in refunds] == [("failed", 1000)] * failed
        (left,) = (await ask(counter, kind="surplus", status="open")).json()["items"]
        assert (left["version"], left["provider_ref"], left["theirs"]["state"]) == (
            2, typeid("pop", refunds[-1].id), "failed",
        )  # fmt: skip
    audited = [one for one in await rows(counter, AuditRow) if one.action == "payments.recon.opened"]
    assert len(audited) == 4


@pytest.mark.parametrize("sent", [False, True])
async def test_a_refund_that_succeeds_late_after_another(counter: Any, *, sent: bool) -> None:
    """Red when both are sent although one was not yet, or nobody hears that both have arrived."""
    payment = await surplus(counter)
    for _ in range(2):
        await give_back(counter, payment)
    (item,) = (await ask(counter, kind="surplus", status="open")).json()["items"][:1]
    assert (await resolve(counter, item["id"], "refund")).status_code == 200
    refunds = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    assert [one.state for one in refunds] == ["failed", "failed", "created"]
    if sent:
        await counter.kit.get(Payments)._driver._holding.take(refunds[2].id, None)
    async with counter.kit.caller().system("payments").begin() as ctx:
        for one in (refunds[0], refunds[2])[: 1 + sent]:
            await apply(ctx, one.id, evidence(one, "succeeded"), via="webhook")
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert await broken(ctx) == {}
    await counter.kit.get(Payments).drive(counter.kit.caller().system("payments"), payment)
    after = [one.state for one in await rows(counter, OperationRow) if one.kind == "refund"]
    assert after == (["succeeded", "failed", "succeeded"] if sent else ["succeeded", "failed", "canceled"])
    assert ("surplus", "open") not in await kinds(counter)
    assert (("returned_twice", "open") in await kinds(counter)) is sent


async def test_of_two_that_are_sent_one_fails(counter: Any) -> None:
    """Red when somebody goes on looking for money that went back once."""
    payment = await surplus(counter)
    await give_back(counter, payment)
    (item,) = (await ask(counter, kind="surplus", status="open")).json()["items"][:1]
    assert (await resolve(counter, item["id"], "refund")).status_code == 200
    first, second = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    await counter.kit.get(Payments)._driver._holding.take(second.id, None)
    await learn(counter, first, "succeeded")
    assert ("returned_twice", "open") in await kinds(counter)
    await learn(counter, second, "failed")
    assert {state for _, state in await kinds(counter)} == {"resolved"}


async def test_a_refund_fails_while_a_bank_decides(counter: Any) -> None:
    """Red when nobody hears of money that is nobody's again once the dispute is won."""
    payment = await surplus(counter)
    (item,) = (await ask(counter, kind="surplus", status="open")).json()["items"][:1]
    for other in (await ask(counter, kind="surplus", status="open")).json()["items"][1:]:
        assert (await resolve(counter, other["id"])).status_code == 200
    assert (await resolve(counter, item["id"], "refund")).status_code == 200
    (refund,) = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    await counter.kit.get(Payments)._driver._holding.take(refund.id, None)
    await dispute(counter, payment, "pending")
    await learn(counter, refund, "failed")
    assert ("surplus", "open") not in await kinds(counter)
    await dispute(counter, payment, "canceled")
    assert ("surplus", "open") in await kinds(counter)


async def test_a_bank_takes_it_and_the_refund_succeeds_late(counter: Any) -> None:
    """Red when the money has gone twice and nobody hears of it."""
    payment = await surplus(counter)
    await give_back(counter, payment)
    (refund,) = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    await dispute(counter, payment, "pending")
    await dispute(counter, payment, "succeeded")
    assert {state for kind, state in await kinds(counter) if kind == "surplus"} == {"resolved"}
    await learn(counter, refund, "succeeded")
    assert ("returned_twice", "open") in await kinds(counter)


async def dispute(counter: Any, payment: str, state: Any) -> None:
    """Hear of a dispute of what is surplus."""
    taken = next(one for one in await rows(counter, OperationRow) if one.kind == "capture" and one.surplus)
    shown = Evidence(source="event", state=state, provider_ref="dp_1", amount=Money(1000, "INR"),
                     occurred_at=taken.created_at)  # fmt: skip
    await counter.kit.get(Disputes).learn("sandbox", taken.provider_ref, shown)
    await whole(counter)


async def learn(counter: Any, refund: OperationRow, state: Any) -> None:
    async with counter.kit.caller().system("payments").begin() as ctx:
        await apply(ctx, refund.id, evidence(refund, state), via="webhook")
    await whole(counter)


async def whole(counter: Any) -> None:
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert await broken(ctx) == {}


def evidence(refund: OperationRow, state: Any) -> Evidence:
    return Evidence(source="fetched", state=state, provider_ref=f"sb_{refund.seq}", occurred_at=refund.created_at)
