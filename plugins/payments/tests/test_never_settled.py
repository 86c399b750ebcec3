"""What was taken and is in no report: an item once its time is over, which the line that comes later resolves."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from recon_desk import Auditor  # beside this file
from sqlalchemy import update
from test_settlement import DAY, Report, auditor, pay, report
from troubled_desk import opened

from corekit.data import DatabaseSettings
from corekit.errors import ConfigError
from corekit.settings import Config
from corekit.testing import FakeClock
from corekit.values import typeid, uuid7
from corekit_payments import PaymentsSettings
from corekit_payments.ledger import LedgerTransactionRow
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.recon import overdue
from corekit_payments.settings import ReconciliationSettings

__all__ = ["auditor", "report"]  # fixtures


async def test_it_is_told_when_its_time_is_over_and_resolved_by_its_line(auditor: Auditor, report: Report) -> None:
    """Red when it is told a day early, told again, told of what was settled, or stays open beside its line."""
    taken, late = await pay(auditor), await pay(auditor)
    report.line("l1", taken, fee=10)
    assert await report.read() == {"lines": 1, "settled": 1}
    await report.read(8 * DAY)
    before = await auditor.sums()
    assert before["clearing:trouble"] == 1000
    assert await report.read(1.5 * DAY) == {"opened": 1}
    for _ in range(2):
        assert await report.read() == {}
    (item,) = await auditor.items("open")
    (of,) = [one for one in await auditor.operations() if one.provider_ref == late and one.kind == "capture"]
    assert (item.kind, item.our_ref, item.their_ref, item.theirs) == ("never_settled", typeid("pop", of.id), late, {})
    assert await auditor.sums() == before, "nothing is booked"
    report.line("l2", late)
    assert await report.read() == {"lines": 1, "settled": 1}
    (item,) = await auditor.items()
    assert (item.state, item.reason) == ("resolved", "a report names it")
    assert (await auditor.sums())["clearing:trouble"] == 0


async def test_a_line_that_differs_is_another_item(auditor: Auditor, report: Report) -> None:
    """Of what somebody has heard already nothing more is told, nor where the fee took all that would have arrived."""
    report.line("l1", await pay(auditor), minor=999)
    report.line("l2", await pay(auditor), fee=1000)
    await report.read()
    assert await auditor.kinds() == [("amount", "open")]
    await report.read(12 * DAY)
    assert await auditor.kinds() == [("amount", "open")]
    report.lines.clear()
    late = await pay(auditor)
    await report.read(11 * DAY)
    report.line("l3", late, minor=999)
    await report.read()
    assert sorted(await auditor.kinds()) == [("amount", "open"), ("amount", "open"), ("never_settled", "resolved")]


async def test_only_what_the_provider_owes_is_due(auditor: Auditor, report: Report) -> None:
    """What is held or was refused is not, nor what is far too old, nor anything where reports name no captures."""
    await report.read()
    await pay(auditor, manual=True)
    await auditor.desk.pay("tok_declined")
    await auditor.desk.drive((await auditor.payments())[-1])
    await pay(auditor)
    auditor.provider.capabilities = msgspec.structs.replace(auditor.provider.capabilities, settlements=False)
    assert await report.read(20 * DAY) == {}
    auditor.provider.capabilities = msgspec.structs.replace(auditor.provider.capabilities, settlements=True)
    assert await report.read(22 * DAY) == {}
    await pay(auditor)
    assert await report.read(11 * DAY) == {"opened": 1}


async def test_of_days_that_nobody_has_read_nothing_is_told(auditor: Auditor, report: Report) -> None:
    """Red when a first run, or one after a long stop, takes for missing what is in reports that it has not read."""
    await pay(auditor)
    assert await report.read(12 * DAY) == {}
    await pay(auditor)
    assert await report.read(45 * DAY) == {}
    await pay(auditor)
    assert await report.read(11 * DAY) == {"opened": 1}


@pytest.mark.parametrize("state", ["open", "resolved"])
async def test_what_was_repaired_is_due_all_the_same(auditor: Auditor, report: Report, state: str) -> None:
    """Red when any item that a capture ever had hides that its money is missing; one that is open does."""
    await report.read()
    await pay(auditor)
    (capture,) = [one for one in await auditor.operations() if one.kind == "capture"]
    async with auditor.kit.caller().system("payments").begin() as ctx:
        ctx.session.add(ReconciliationItemRow(
            id=uuid7(), tenant=capture.tenant, kind="state", provider="trouble", our_ref=typeid("pop", capture.id),
            their_ref="", ours={}, theirs={}, state=state, reason="", created_at=ctx.now(),
        ))  # fmt: skip
    assert await report.read(11 * DAY) == ({"opened": 1} if state == "resolved" else {})


async def test_lines_that_name_a_hold_tell_of_its_captures(auditor: Auditor, report: Report) -> None:
    """Red when captures are told of once more while a person looks which of them the lines pay out."""
    await report.read()
    hold = await pay(auditor, manual=True)
    (made,) = await auditor.payments()
    for _ in range(2):
        await auditor.desk.capture(made, 250, final=False)
    for name in ("l1", "l2"):
        report.line(name, hold, minor=250)
    assert await report.read() == {"lines": 2, "opened": 2}
    await report.read(11 * DAY)
    assert await auditor.kinds() == [("settlement_unclear", "open")] * 2


async def test_many_are_told_page_by_page(auditor: Auditor, report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a page that has been told of hides the next; those of one moment are in one order on both databases."""
    monkeypatch.setattr(overdue, "PAGE", 2)
    await report.read()
    for _ in range(5):
        await pay(auditor)
    async with auditor.kit.caller().system("payments").begin() as ctx:
        await ctx.session.execute(update(OperationRow).values(reconciled_at=ctx.now()))
    assert len({one.created_at for one in await auditor.rows(LedgerTransactionRow)}) == 1
    assert await report.read(11 * DAY) == {"opened": 5}
    await pay(auditor)
    assert await report.read(11 * DAY) == {"opened": 1}


async def test_the_time_is_a_setting(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> None:
    quick = ReconciliationSettings(settle_within=2 * DAY)
    async with opened(database, tmp_path, clock, recon=quick) as desk:
        auditor = Auditor(desk)
        report = Report(auditor)
        await pay(auditor)
        assert await report.read() == {}
        assert await report.read(1.5 * DAY) == {"opened": 1}


def test_a_day_at_least(tmp_path: Path) -> None:
    given: dict[str, Any] = {"payments": {"recon": {"settle_within": DAY - 1}}}
    with pytest.raises(ConfigError, match="settle_within"):
        Config.load(environ={}, overrides=given).table("payments", PaymentsSettings)
