"""What is told again and again until somebody has seen to it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from recon_desk import Auditor
from sqlalchemy import update
from troubled_desk import opened

from corekit.data import DatabaseSettings
from corekit.testing import FakeClock
from corekit_payments import PaymentsPlugin
from corekit_payments.models import OperationRow

QUARTER, TWO_HOURS = 900, 7200


@pytest.fixture
async def auditor(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(database, tmp_path, clock) as desk:
        yield Auditor(desk)


async def told(auditor: Auditor, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Have the hour strike; return what is said."""
    caplog.clear()
    (plugin,) = (one for one in auditor.kit.plugins if isinstance(one, PaymentsPlugin))
    async with auditor.kit.caller().system("payments").begin() as ctx:
        await plugin.recon_alerts(ctx)
    return caplog.messages


async def pay(auditor: Auditor, means: str, count: int) -> None:
    for _ in range(count):
        await auditor.desk.drive((await auditor.desk.pay(means)).id)


async def test_what_lasts_is_told_again(auditor: Auditor, caplog: pytest.LogCaptureFixture) -> None:
    """Red when an alert of the design is left out, or told before its time."""
    await pay(auditor, "tok_ok", 1)
    auditor.falsify("UPDATE object SET amount = 900")
    made = await auditor.desk.pay("tok_lost_before")
    await auditor.desk.attempt(made.id)
    await auditor.counts()
    (plugin,) = (one for one in auditor.kit.plugins if isinstance(one, PaymentsPlugin))
    _, swept = plugin.health()
    await swept.probe()
    lasts = ("payments_mismatches_open", "payments_unknown_too_long")
    for after, told_of in ((60, []), (QUARTER, lasts[:1]), (86400, lasts)):
        caplog.clear()
        auditor.clock.move(after)
        async with auditor.kit.caller().system("payments").begin() as ctx:
            await plugin.recon_alerts(ctx)
        assert [name for name in lasts if any(name in one for one in caplog.messages)] == list(told_of), after
    with pytest.raises(RuntimeError, match="waited for its look"):
        await swept.probe()


async def test_more_refusals_than_usual_are_told(auditor: Auditor, caplog: pytest.LogCaptureFixture) -> None:
    """Red when a few say something, when what is usual does not count, or our own rules' refusals do."""
    await pay(auditor, "tok_ok", 8)
    await pay(auditor, "tok_declined", 1)
    auditor.clock.move(TWO_HOURS)
    await pay(auditor, "tok_declined", 9)
    assert not await told(auditor, caplog)
    await pay(auditor, "tok_declined", 1)
    (said,) = await told(auditor, caplog)
    assert all(part in said for part in ("payments_declines_high", "'reason': 'trouble'", "'count': 10")), said
    async with auditor.kit.caller().system("payments").begin() as ctx:
        failed = update(OperationRow).where(OperationRow.state == "failed")
        await ctx.session.execute(failed.values(error_class="blocked"))
    assert not await told(auditor, caplog)
    async with auditor.kit.caller().system("payments").begin() as ctx:
        await ctx.session.execute(failed.values(error_class="declined"))
    assert len(await told(auditor, caplog)) == 1
    await pay(auditor, "tok_ok", 21)  # a third is refused now, and of the day before one in nine was
    assert not await told(auditor, caplog)
    auditor.clock.move(TWO_HOURS)
    assert not await told(auditor, caplog)
