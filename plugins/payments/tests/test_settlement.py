"""What a provider says that it has paid out, against what our books say that it owes."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recon_desk import Auditor
from troubled_desk import opened

from corekit.contracts.payments import SettlementRow
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock
from corekit.values import Money, typeid

DAY = 86400


class Report:
    """The lines that the provider reports, by the day; the days that it was asked for."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self.lines: list[SettlementRow] = []
        self.asked: list[date] = []
        auditor.provider.settlement_rows = self.rows  # type: ignore[method-assign]

    async def rows(self, day: date) -> AsyncIterator[SettlementRow]:
        self.asked.append(day)
        for line in self.lines:
            if line.settled_at.date() == day:
                yield line

    def line(self, id_: str, ref: str | None, kind: Any = "capture", minor: int = 1000, **more: Any) -> None:
        money = {name: Money(value, "INR") if isinstance(value, int) else value for name, value in more.items()}
        amount = money.pop("amount", Money(minor, "INR"))
        at = self._auditor.clock.now()
        self.lines.append(SettlementRow(id=id_, kind=kind, amount=amount, settled_at=at, provider_ref=ref, **money))

    async def read(self, after: float = DAY) -> dict[str, int]:
        """Run once, some seconds later: also where the last run is not long ago."""
        self._auditor.clock.move(after)
        run = await self._auditor.run("settlement", now=True)
        assert run is not None
        return dict(run.counts)


@pytest.fixture
async def auditor(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(database, tmp_path, clock) as desk:
        yield Auditor(desk)


@pytest.fixture
def report(auditor: Auditor) -> Report:
    return Report(auditor)


async def pay(auditor: Auditor, means: str = "tok_ok", **options: Any) -> str:
    """Pay, and return what the provider calls what it took."""
    made = await auditor.desk.pay(means, **options)
    await auditor.desk.drive(made.id)
    return (await auditor.operations())[-1].provider_ref or ""


async def test_what_was_paid_out_clears_what_is_owed(auditor: Auditor, report: Report) -> None:
    """A capture with fee and tax, a refund, the provider's own fee; red when the next run posts one again."""
    taken = await pay(auditor)
    await auditor.desk.refund((await auditor.payments())[-1], 300)
    back = (await auditor.operations())[-1].provider_ref
    report.line("l1", taken, fee=30, tax=5)
    report.line("l2", back, "refund", 300, fee=0)
    report.line("l3", None, "fee", -7)
    report.line("l4", "po_1", "other", -663)
    for found in ({"settled": 3, "not of payments": 1}, {"booked before": 3, "not of payments": 1}):
        assert await report.read() == {"lines": 4, **found}
        sums = await auditor.sums()
        assert sums == {
            "bank": 1000 - 30 - 300 - 7, "clearing:trouble": 0, "payable:merchant": -670, "refunds": 0, "fees": 7,
        }  # fmt: skip
    assert await auditor.items() == []
    (fee, tax) = [one.amount for one in await auditor.postings("fee") if one.amount != 7]
    assert (fee, tax) == (25, 5)


async def test_what_disagrees_is_told_once_and_not_booked(auditor: Auditor, report: Report) -> None:
    """Red when an amount is taken as they say, or a line of another currency as ours."""
    for number, more in enumerate(({"amount": 900}, {"amount": Money(1000, "USD")}, {"fee": Money(3, "USD")})):
        report.line(f"l{number}", await pay(auditor), **more)
    before = await auditor.sums()
    assert await report.read() == {"lines": 3, "opened": 3}
    assert await report.read() == {"lines": 3, "known": 3}
    assert sorted(await auditor.kinds()) == [("amount", "open"), ("currency", "open"), ("currency", "open")]
    assert await auditor.sums() == before


async def test_another_fee_than_was_known_is_told_and_the_money_booked(auditor: Auditor, report: Report) -> None:
    """What is left in the provider's account is the difference, until a person has looked."""
    taken = await pay(auditor)
    report.line("l1", taken, fee=30)
    await report.read()
    report.line("l2", await pay(auditor), fee=30)
    report.line("l3", taken, fee=30)
    assert await report.read() == {"lines": 3, "booked before": 1, "settled": 1, "opened": 1}
    assert await auditor.kinds() == [("settled_twice", "open")]
    assert (await auditor.sums())["clearing:trouble"] == 0


async def test_a_fee_that_differs_from_the_reply_is_one_item(
    auditor: Auditor, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    take = auditor.provider.create

    async def with_fee(call: Any) -> Any:
        return msgspec.structs.replace(await take(call), fee=Money(20, "INR"))

    auditor.provider.create = with_fee  # type: ignore[method-assign]
    report.line("l1", await pay(auditor), fee=30)
    assert (await auditor.sums())["payable:merchant"] == -980
    for _ in range(2):
        await report.read()
    assert await auditor.kinds() == [("settlement_fee", "open")]
    assert [one for one in caplog.messages if "payments_mismatch_opened" in one]
    sums = await auditor.sums()
    assert (sums["bank"], sums["clearing:trouble"], sums["payable:merchant"]) == (970, 10, -980)


async def test_money_of_nothing_of_ours_is_booked_apart(auditor: Auditor, report: Report) -> None:
    report.line("l1", "sb_elsewhere", fee=10)
    report.line("l2", "sb_dispute", "dispute", -500)
    for _ in range(2):
        await report.read()
    assert await auditor.kinds() == [("missing_here", "open")] * 2
    assert await auditor.sums() == {"bank": 990, "clearing:trouble": 0, "fees": 10, "suspense": -1000}


async def test_a_line_that_names_a_hold_is_of_the_capture_of_its_amount(auditor: Auditor, report: Report) -> None:
    """Red when what is known by another kind's name is booked as nobody's, or any capture is taken for the one."""
    hold = await pay(auditor, manual=True)
    (made,) = await auditor.payments()
    await auditor.desk.capture(made, 400, final=False)
    await auditor.desk.capture(made, 250, final=False)
    await auditor.desk.capture(made, 250, final=False)
    report.line("l1", hold, minor=400, fee=10)
    report.line("l2", hold, minor=250)
    report.line("l3", hold, minor=300)
    assert await report.read() == {"lines": 3, "settled": 1, "opened": 2}
    assert await report.read() == {"lines": 3, "booked before": 1, "known": 2}
    assert await auditor.kinds() == [("settlement_unclear", "open")] * 2
    assert {one.our_ref for one in await auditor.items()} == {typeid("pop", (await auditor.operations())[0].id)}
    sums = await auditor.sums()
    assert sums == {"bank": 390, "clearing:trouble": 500, "payable:merchant": -890}
    report.line("l4", (await auditor.operations())[-1].provider_ref, minor=250)
    assert await report.read() == {"lines": 4, "booked before": 1, "known": 2, "settled": 1}
    assert await report.read(0) == {"lines": 4, "booked before": 2, "settled": 1, "known": 1}  # one was left to choose
    assert (await auditor.sums())["clearing:trouble"] == 0


async def test_a_line_of_what_is_open_here_waits(auditor: Auditor, report: Report) -> None:
    """The payer has paid, and nobody has looked yet; red when it is booked as nobody's."""
    await auditor.desk.pay("tok_3ds")
    await auditor.desk.drive((await auditor.payments())[0])
    report.line("l1", (await auditor.operations())[0].provider_ref)
    assert await report.read() == {"lines": 1, "later": 1}
    assert await auditor.sums() == {}


async def test_a_dispute_takes_and_brings_back(auditor: Auditor, report: Report) -> None:
    taken = await pay(auditor)
    report.line("l0", taken)
    lost = await auditor.provider.dispute(taken)
    await auditor.learn(taken, lost)
    report.line("l1", lost.provider_ref, "dispute", -1000, fee=15)
    await report.read()
    assert (await auditor.sums())["bank"] == -15
    assert (await auditor.sums())["clearing:trouble"] == 0
    await auditor.learn(taken, await auditor.provider.judge(lost.provider_ref or "", "won"))
    report.line("l2", lost.provider_ref, "dispute", 1000)
    await report.read()
    sums = await auditor.sums()
    assert (sums["bank"], sums["clearing:trouble"], sums["payable:merchant"]) == (985, 0, -985)


async def test_days_are_read_again_and_none_is_left_out(auditor: Auditor, report: Report) -> None:
    today = auditor.clock.now().date()
    await report.read(0)
    assert report.asked == [today - timedelta(days=3 - n) for n in range(3)]
    report.asked.clear()
    await report.read(10 * DAY)  # nobody ran it meanwhile
    assert report.asked == [today + timedelta(days=n) for n in range(-1, 10)]


async def test_the_sandbox_reports_what_it_took(auditor: Auditor) -> None:
    await pay(auditor)
    auditor.clock.move(DAY)
    run = await auditor.run("settlement")
    assert run is not None
    assert dict(run.counts) == {"lines": 1, "settled": 1}
    assert await auditor.sums() == {"bank": 1000, "clearing:trouble": 0, "payable:merchant": -1000}
