"""Sums by the hour: a balance is the same with them and without, whatever was posted when."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from corekit.testing import FakeClock
from corekit.values import uuid7
from corekit_payments import PaymentsPlugin
from corekit_payments.ledger import LedgerTransactionRow, PostingRow, balances
from corekit_payments.ledger.rollups import _differing, recheck, roll_up, rolled_until, summed
from corekit_payments.ledger.rows import LedgerAccountRow, RollUpRow


async def capture(till: Any, say: Any, minor: int) -> None:
    operation = await till.begin(await till.payment(minor), amount=minor)
    await till.apply(operation, say("succeeded", captured=minor, provider_ref=f"r{minor}"))


async def sums(till: Any) -> dict[str, tuple[int, int]]:
    async with till.caller().begin(readonly=True) as ctx:
        return {one.code.partition(":usr_")[0]: (one.debit, one.credit) for one in await balances(ctx)}


async def rolled(till: Any) -> int:
    async with till.caller().begin() as ctx:
        return await roll_up(ctx)


async def test_a_balance_is_what_was_rolled_up_and_what_came_since(
    till: Any, say: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when the tail begins an hour late or early, or an hour is summed up at once when it is over."""
    total = 0
    for minor, minutes, hours in ((100, 59, 0), (20, 1, 0), (3, 180, 2), (7, 0, 0)):
        await capture(till, say, minor)
        total += minor
        clock.move(minutes * 60)
        assert await rolled(till) == hours, minor
        assert await sums(till) == {"clearing:sandbox": (total, 0), "payable": (0, total)}
    async with till.caller().begin(readonly=True) as ctx:
        assert await ctx.session.scalar(select(func.count()).select_from(RollUpRow)) == 4
    clock.move(2 * 3600)
    assert (await rolled(till), await rolled(till)) == (1, 0)
    async with till.caller().begin() as ctx:
        assert await recheck(ctx) == 0
        # One that began before the hour had ended, and was committed after it had been summed up.
        late = select(LedgerTransactionRow.created_at).order_by(LedgerTransactionRow.created_at).limit(1)
        await _post_late(ctx, await ctx.session.scalar(late))
    assert (await sums(till))["clearing:sandbox"] == (total, 0)
    async with till.caller().begin() as ctx:
        assert await recheck(ctx) == 2
        assert await recheck(ctx) == 0
    assert [one for one in caplog.messages if "payments_rollups_broken" in one]
    assert await sums(till) == {"clearing:sandbox": (total + 11, 0), "payable": (0, total + 11)}
    assert await rolled(till) == 0


async def test_they_are_held_against_the_postings_a_day_at_a_time(
    till: Any, say: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum that is wrong in any of the days is found; red when one is left out, or more than one is read at once."""
    days = 5
    for minor in range(1, days + 1):
        await capture(till, say, minor)
        clock.move(7 * 3600 + 24 * 3600 * (minor % 2))
    assert await rolled(till) == days
    read: list[timedelta] = []

    def differing(begin: datetime, end: datetime) -> Any:
        read.append(end - begin)
        return _differing(begin, end)

    monkeypatch.setattr("corekit_payments.ledger.rollups._differing", differing)
    before = await sums(till)
    async with till.caller().begin() as ctx:
        rows = (await ctx.session.scalars(select(RollUpRow).order_by(RollUpRow.until, RollUpRow.account))).all()
        keys = [(row.account, row.until) for row in rows]
        assert await recheck(ctx) == 0
        for account, until in keys:
            wrong = update(RollUpRow).where(RollUpRow.account == account, RollUpRow.until == until)
            await ctx.session.execute(wrong.values(debit=RollUpRow.debit + 1))
            assert await recheck(ctx) == 1
    assert max(read) == timedelta(days=1)
    assert len(read) % (1 + len(keys)) == 0
    assert len(read) // (1 + len(keys)) in range(3, days + 1)
    assert await sums(till) == before


async def test_what_is_rolled_up_meanwhile_does_not_count_twice(till: Any, say: Any, clock: FakeClock) -> None:
    """Red when sums are counted that are newer than the time from which postings are read."""
    total = 0
    for minor in (100, 20):
        await capture(till, say, minor)
        clock.move(2 * 3600)
        async with till.caller().begin() as ctx:
            until = await rolled_until(ctx)
            await roll_up(ctx)
            side = summed(PostingRow.debit, RollUpRow.debit, until)
            clearing = select(side).where(LedgerAccountRow.code == "clearing:sandbox")
            total += minor
            assert await ctx.session.scalar(clearing) == total


async def test_they_are_not_read_every_hour(
    till: Any, say: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when the hourly check reads every posting for them; their own job finds what is wrong."""
    await capture(till, say, 100)
    clock.move(2 * 3600)
    assert await rolled(till) == 1
    (plugin,) = (one for one in till.kit.plugins if isinstance(one, PaymentsPlugin))
    async with till.caller().begin() as ctx:
        await ctx.session.execute(update(RollUpRow).values(debit=RollUpRow.debit + 1))
        await plugin.check_ledger(ctx)
        assert caplog.messages == []
        await plugin.check_rollups(ctx)
    assert [one for one in caplog.messages if "payments_rollups_broken" in one]


async def _post_late(ctx: Any, at: Any) -> None:
    found = (await ctx.session.scalars(select(PostingRow).limit(1))).one()
    tx = LedgerTransactionRow(id=uuid7(), source="late", kind="unmatched", operation_id=None, created_at=at)
    ctx.session.add(tx)
    await ctx.session.flush()
    pair = {"debit": found.debit, "credit": found.credit, "amount": 11, "currency": found.currency}
    ctx.session.add(PostingRow(tx=tx.id, n=1, **pair))


async def test_each_tenant_has_its_own(till: Any, say: Any, clock: FakeClock) -> None:
    other = UUID(int=7)
    await capture(till, say, 100)
    operation = await till.begin(await till.payment(50, tenant=other), amount=50, tenant=other)
    await till.apply(operation, say("succeeded", captured=50, provider_ref="o"), other)
    clock.move(2 * 3600)
    assert await rolled(till) == 1
    assert (await sums(till))["clearing:sandbox"] == (100, 0)
    async with till.caller(tenant=other).begin(readonly=True) as ctx:
        assert {one.debit + one.credit for one in await balances(ctx)} == {50}
        assert await ctx.session.scalar(text("SELECT count(*) FROM payments_ledger_rollup")) == 4
