"""Money that was booked as nobody's and turns out to be an operation's is booked once, whichever comes first."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from corekit.testing import FakeClock
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.ledger import LedgerTransactionRow, balances, broken
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.recon.tidying import tidy

OTHER = UUID(int=7)


async def sums(till: Any, tenant: UUID | None = None) -> dict[str, int]:
    """Return what each account of a tenant's holds, once the books have been found whole."""
    async with till.caller(tenant=tenant).begin(readonly=True) as ctx:
        assert await broken(ctx) == {}
        return {one.code.partition(":usr_")[0]: one.debit - one.credit for one in await balances(ctx)}


async def seen(till: Any, shown: Any) -> bool:
    """Find an object of theirs under a name that is nobody's, as the inbox, the list and a settlement do."""
    async with till.caller().begin() as ctx:
        return await book_unmatched(ctx, "sandbox", shown.provider_ref, shown)


async def begin(till: Any, kind: str, tenant: UUID | None) -> UUID:
    payment = await till.payment(tenant=tenant)
    if kind == "capture":
        return UUID(str(await till.begin(payment, tenant=tenant)))
    paid = await till.begin(payment, state="succeeded", tenant=tenant)
    books = await till.books(payment, tenant)
    attempt = books.operation(paid).attempt_id
    await till.begin(payment, "capture", state="succeeded", attempt=attempt, tenant=tenant)
    return UUID(str(await till.begin(payment, "refund", 400, state="unknown", attempt=attempt, tenant=tenant)))


@pytest.mark.parametrize("tenant", [None, OTHER])
@pytest.mark.parametrize("kind", ["capture", "refund"])
async def test_in_any_order_it_is_booked_once(till: Any, say: Any, kind: str, tenant: UUID | None) -> None:
    """Red without `explain` in `applying`, without `explained` in `book_unmatched`, or where it is another tenant's."""
    moved = {"captured": 1000} if kind == "capture" else {"refunded": 400}
    before = dict.fromkeys(("clearing:sandbox", "payable", "refunds"), 0)
    for n, order in enumerate(sorted(set(permutations(["theirs", "theirs", "ours", "ours"])))):
        operation, shown = await begin(till, kind, tenant), say("succeeded", provider_ref=f"x{n}", **moved)
        for step in order:
            if step == "theirs":
                await seen(till, shown)
            else:
                await till.apply(operation, shown, tenant)
        done = {name: left for name, left in (await sums(till, tenant)).items() if name != "suspense"}
        change = {name: done.get(name, 0) - before[name] for name in before}
        taken = 1000 if kind == "capture" else 600
        assert change == {"clearing:sandbox": taken, "payable": -taken, "refunds": 0}, order
        before |= done
        assert (await sums(till)).get("suspense", 0) == 0, order
    assert {one.state for one in await till.items()} == {"resolved"}
    kinds = [one.kind for one in await till.rows(LedgerTransactionRow) if one.source.startswith("ext:")]
    assert kinds.count("unmatched" if kind == "capture" else "unmatched_refund") == len(kinds) / 2 == 3


async def test_what_both_sides_wrote_at_once_is_put_right(till: Any, say: Any, monkeypatch: Any) -> None:
    """Red when `tidy` looks at what is parked alone, or stops after its first transaction."""
    monkeypatch.setattr("corekit_payments.recon.tidying._BATCH", 1)
    strange = [say("succeeded", provider_ref=ref, captured=700) for ref in ("a", "z")]
    await seen(till, strange[0])
    shown = say("succeeded", provider_ref="x", captured=1000)
    await seen(till, shown)
    operation = await begin(till, "capture", None)
    monkeypatch.setattr("corekit_payments.applying.explain", _nothing)
    await till.apply(operation, shown)
    await seen(till, strange[1])
    assert (await sums(till))["suspense"] == -2400
    for _ in range(2):
        await tidy(till.caller(), "sandbox")
    assert await sums(till) == {"clearing:sandbox": 2400, "payable": -1000, "suspense": -1400}
    assert {one.their_ref: one.state for one in await till.items()} == {"a": "open", "x": "resolved", "z": "open"}


async def _nothing(*_: Any) -> None:
    """See nothing: what the other one has booked is not committed yet."""


async def test_what_a_person_has_said_stays(till: Any, say: Any, clock: FakeClock) -> None:
    """The money is taken back all the same."""
    shown = say("succeeded", provider_ref="x", captured=1000)
    await seen(till, shown)
    async with till.caller().begin() as ctx:
        said = {"state": "resolved", "reason": "of the till in the shop", "action": "close", "resolved_at": clock.now()}
        await ctx.session.execute(update(ReconciliationItemRow).values(said))
    await till.apply(await begin(till, "capture", None), shown)
    (item,) = await till.items()
    assert (item.state, item.reason, item.action) == ("resolved", "of the till in the shop", "close")
    assert await sums(till) == {"clearing:sandbox": 1000, "payable": -1000, "suspense": 0}


@pytest.mark.parametrize("other", ["tidy", "book_unmatched", "apply"])
async def test_a_person_who_resolves_at_the_same_time_is_not_undone(
    till: Any, say: Any, clock: FakeClock, other: str
) -> None:
    """Red, on PostgreSQL, where the item is read without its lock."""
    shown = say("succeeded", provider_ref="x", captured=1000)
    operation, park = await begin(till, "capture", None), timedelta(minutes=10)
    async with till.caller().begin() as ctx:
        await book_unmatched(ctx, "sandbox", "x", shown, park=park if other != "apply" else timedelta())
    if other == "tidy":
        async with till.caller().begin() as ctx:
            await ctx.session.execute(update(OperationRow).values(provider_ref="x"))
    clock.move(600)

    async def change() -> None:
        if other == "tidy":
            await tidy(till.caller(), "sandbox")
        elif other == "apply":
            await till.apply(operation, shown)
        else:
            async with till.caller().begin() as ctx:
                await book_unmatched(ctx, "sandbox", "x", shown, park=park)

    async with till.caller().begin() as ctx:
        said = {"state": "resolved", "reason": "of the till in the shop", "resolved_at": clock.now()}
        await ctx.session.execute(update(ReconciliationItemRow).values(said))
        running = asyncio.create_task(change())
        await asyncio.wait({running}, timeout=0.3)  # it comes to the item, and waits there or leaves it alone
    await running
    (item,) = await till.items()
    assert (item.state, item.reason) == ("resolved", "of the till in the shop")
