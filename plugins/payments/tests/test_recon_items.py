"""Reconciliation items over HTTP: who sees them, and what resolving one does, once."""

import asyncio
from typing import Any

import httpx
from sqlalchemy import select

from corekit.contracts.payments import Payments
from corekit.data.outbox import OutboxRow
from corekit.guard.audit_rows import AuditRow
from corekit.values import typeid, uuid7
from corekit_payments.ledger import balances, broken
from corekit_payments.models import OperationRow, ReconciliationItemRow

ITEMS = "/payments/v1/reconciliation/items"
REASON = "the bank has it in writing"


async def ask(counter: Any, path: str = "", who: str = "olga", **params: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who}"}
    answer: httpx.Response = await counter.http.get(f"{ITEMS}{path}", headers=headers, params=params)
    return answer


async def resolve(
    counter: Any, item: str, action: str = "close", version: Any = 2, who: str = "olga", reason: str = REASON
) -> httpx.Response:
    sent = {"Authorization": f"Bearer {who}"} | ({} if version is None else {"If-Match": f'"{version}"'})
    body = {"action": action, "reason": reason}
    answer: httpx.Response = await counter.http.post(f"{ITEMS}/{item}/resolve", json=body, headers=sent)
    return answer


async def opened(counter: Any, kind: str = "state", *, of: OperationRow | None = None, state: str = "open") -> str:
    """Have a difference told of an operation, or of nothing of ours."""
    async with counter.kit.caller().system("payments").begin() as ctx:
        row = ReconciliationItemRow(
            id=uuid7(), tenant=None, kind=kind, provider="sandbox", our_ref="" if of is None else typeid("pop", of.id),
            their_ref=f"sb_{uuid7().hex}", ours={}, theirs={"state": "failed"}, state=state, reason="",
            created_at=ctx.now(),
        )  # fmt: skip
        ctx.session.add(row)
    return typeid("rci", row.id)


async def rows(counter: Any, row: Any) -> list[Any]:
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        return list((await ctx.session.scalars(select(row).order_by(row.created_at, row.id))).all())


async def test_items_are_listed_and_resolved_with_a_reason(counter: Any) -> None:
    """Red when an item is resolved twice, by one who has read an older one, or without an audit entry."""
    made = [await opened(counter, kind) for kind in ("state", "missing_here", "amount")]
    parked = await opened(counter, "missing_there", state="parked")
    every = (await ask(counter, limit=3)).json()
    assert [one["kind"] for one in every["items"]] == ["missing_there", "amount", "missing_here"]
    rest = (await ask(counter, limit=3, cursor=every["next"])).json()
    assert ([one["kind"] for one in rest["items"]], rest["next"]) == (["state"], None)
    assert [one["id"] for one in (await ask(counter, status="parked")).json()["items"]] == [parked]
    assert [one["id"] for one in (await ask(counter, kind="amount", provider="sandbox")).json()["items"]] == [made[2]]
    one = await ask(counter, f"/{made[0]}")
    assert (one.headers["etag"], one.json()["theirs"]) == ('"2"', {"state": "failed"})

    stale = await resolve(counter, made[0], version=1)
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')
    assert (await resolve(counter, made[0], version=None)).status_code == 428
    done = await resolve(counter, made[0])
    assert (done.status_code, done.headers["etag"]) == (200, '"3"')
    shown = done.json()
    assert (shown["status"], shown["action"], shown["reason"]) == ("resolved", "close", REASON)
    assert shown["resolved_by"].startswith("usr_")
    again = await resolve(counter, made[0])
    assert (again.status_code, again.json()) == (200, shown)
    other = await resolve(counter, made[0], "reverse")
    assert (other.status_code, other.json()["type"]) == (409, "urn:corekit:problem:conflict")
    (entry,) = [one for one in await rows(counter, AuditRow) if one.action == "payments.recon.resolved"]
    assert (entry.details["action"], entry.details["reason"]) == ("close", REASON)
    assert len([one for one in await rows(counter, OutboxRow) if one.tag == "payments.mismatch_resolved"]) == 1


async def test_who_may_and_what_is_no_resolution(counter: Any) -> None:
    item = await opened(counter)
    for who in ("alice", "sue", "clara", "rita"):
        seen = [await ask(counter, path, who) for path in ("", f"/{item}")]
        answers = [*seen, await resolve(counter, item, who=who)]
        assert {answer.status_code for answer in answers} == {403}, who
    assert (await counter.http.get(ITEMS)).status_code == 401
    wrong: list[dict[str, Any]] = [
        {"reason": "short"}, {"reason": " " * 20}, {"reason": "x" * 501}, {"reason": "card 4242 4242 4242 4242"},
        {"action": "forget"}, {"action": "refund"}, {"action": "reverse"},
    ]  # fmt: skip
    for more in wrong:
        assert (await resolve(counter, item, **more)).status_code == 422, more
    for unknown, status in {typeid("rci", uuid7()): 404, "rci_no": 422}.items():
        assert (await ask(counter, f"/{unknown}")).status_code == status
        assert (await resolve(counter, unknown)).status_code == status
    for question in ({"limit": 0}, {"limit": 201}, {"status": "gone"}, {"kind": "A"}, {"cursor": "no"}):
        assert (await ask(counter, **question)).status_code == 422, question
    assert (await ask(counter, f"/{item}")).json()["status"] == "open"


async def test_of_two_who_resolve_at_once_one_does(counter: Any) -> None:
    item = await opened(counter)
    answers = await asyncio.gather(*(resolve(counter, item) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert len([one for one in await rows(counter, AuditRow) if one.action == "payments.recon.resolved"]) == 1


async def test_a_surplus_goes_back_by_its_item(counter: Any) -> None:
    """Red when it is begun twice, or an item that nothing was taken for gives something back."""
    first = (await counter.pay("tok_late")).json()["payment"]
    ok = {"method": {"type": "token", "token": "tok_ok"}}
    assert (await counter.post(f"/{first}/confirm", ok)).status_code == 200
    attempt = (await counter.get(f"/{first}/operations")).json()[0]["id"]
    for _ in range(3):
        headers = {"Authorization": "Bearer olga"}
        await counter.http.post(f"/payments/v1/operations/{attempt}/check", headers=headers)
    items = (await ask(counter, kind="surplus", status="open")).json()["items"]
    assert len(items) == 2  # the attempt, and what it captured
    done = await resolve(counter, items[0]["id"], "refund")
    assert done.status_code == 200, done.text
    assert (await resolve(counter, items[0]["id"], "refund")).json() == done.json()
    assert (await resolve(counter, items[1]["id"], "refund")).status_code == 409
    await counter.kit.get(Payments).drive(counter.kit.caller().system("payments"), first)
    assert counter.effects()[-1] == ("refund", 1000)
    assert {one["status"] for one in (await ask(counter, kind="surplus")).json()["items"]} == {"resolved"}
    (refund,) = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    assert (refund.surplus, refund.reason, refund.state) == (True, REASON, "succeeded")


async def test_a_refund_that_came_back_is_owed_again(counter: Any) -> None:
    paid = (await counter.pay()).json()["id"]
    assert (await counter.post(f"/{paid}/refunds", {"reason": "torn"}, "clara")).status_code == 201
    (refund,) = [one for one in await rows(counter, OperationRow) if one.kind == "refund"]
    item = await opened(counter, "refund_returned", of=refund)
    for _ in range(2):
        assert (await resolve(counter, item, "reverse")).status_code == 200
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        assert await broken(ctx) == {}
        held = {one.code: one.debit - one.credit for one in await balances(ctx)}
    assert held == {"clearing:sandbox": 1000, "payable:merchant": -1000, "refunds": 0}
