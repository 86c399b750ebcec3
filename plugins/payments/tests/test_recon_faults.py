"""Runs that break: what is left of them, who goes on, and who is told."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from recon_desk import Auditor
from troubled_desk import opened

from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown
from corekit.testing import FakeClock
from corekit_payments import PaymentsPlugin
from corekit_payments.recon.running import LeaseLost, Runs

DAY, THREE_DAYS = 86400, timedelta(days=3)
Log = pytest.LogCaptureFixture


@pytest.fixture
async def auditor(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(None, tmp_path, clock) as desk:
        yield Auditor(desk)


def refuse(auditor: Auditor, why: BaseException) -> None:
    """Have every list of the provider's begin with a fault."""

    async def broken(_: str) -> Any:
        raise why
        yield Evidence  # pragma: no cover  # it is a list all the same

    auditor.provider.list_since = broken  # type: ignore[method-assign, assignment]


def plugin_of(auditor: Auditor) -> PaymentsPlugin:
    (plugin,) = (one for one in auditor.kit.plugins if isinstance(one, PaymentsPlugin))
    return plugin


async def test_what_the_first_run_was_to_see_stays_to_be_seen(auditor: Auditor) -> None:
    """Red when a window counts from now until some run has ended: what is older would never be looked at."""
    refuse(auditor, NotAttempted("refused (403)", refused=True))
    assert await auditor.listing() is None
    (before,) = await auditor.runs()
    auditor.clock.move(10 * DAY)
    assert await auditor.listing(now=True) is None
    del auditor.provider.list_since
    run = await auditor.listing(now=True)
    assert run is not None
    assert run.since == before.since


async def test_who_is_stopped_lets_the_next_one_go_on_at_once(auditor: Auditor) -> None:
    """Red when a lease is left behind by a process that stops: the next run would be told to keep away."""
    await auditor.desk.drive((await auditor.desk.pay("tok_ok")).id)
    hanging = asyncio.Event()

    async def hang(_: str) -> Any:
        hanging.set()
        await asyncio.Event().wait()
        yield Evidence  # pragma: no cover  # it is a list all the same

    auditor.provider.list_since = hang  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(auditor.listing())
    await hanging.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    del auditor.provider.list_since
    assert await auditor.listing() is not None


async def test_payouts_are_read_once_a_day_and_again_soon_after_a_fault(auditor: Auditor) -> None:
    """Red when the calendar alone says when: a fault at dawn would cost a day."""
    settled, faults = auditor.provider.settlement_rows, [OutcomeUnknown("down")]

    async def flaky(*given: Any) -> Any:
        if faults:
            raise faults.pop()
        async for one in settled(*given):
            yield one

    auditor.provider.settlement_rows = flaky  # type: ignore[method-assign, assignment]
    auditor.clock.move(2 * DAY)
    ended = []
    for _ in range(30):
        ended.append(await auditor.run("settlement") is not None)
        auditor.clock.move(3600)
    assert ended[0] is False
    assert ended[1:].index(True) <= 6, "the longest rest"
    assert sum(ended) == 2, "a day and six hours"


async def test_one_instance_that_faults_ends_no_other_before_its_time(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the first fault is raised while others run: they would go on outside of their job."""
    claim, over = Runs.claim, asyncio.Event()

    async def faulty(self: Runs, stream: Any, provider: str, *given: Any, **options: Any) -> Any:
        if provider == "trouble":
            raise OSError("the database is away")
        await asyncio.sleep(0.05)
        run = await claim(self, stream, provider, *given, **options)
        over.set()
        return run

    monkeypatch.setattr(Runs, "claim", faulty)
    with pytest.raises(OSError, match="away"):
        await plugin_of(auditor).reconcile(auditor.kit.caller().system("payments"))
    assert over.is_set()


async def test_a_fault_of_who_has_lost_the_lease_is_not_the_next_ones(auditor: Auditor) -> None:
    runs = Runs(auditor.kit.caller().system("payments"))
    first = await runs.claim("listing", "trouble", THREE_DAYS)
    auditor.clock.move(301)
    second = await runs.claim("listing", "trouble", THREE_DAYS)
    assert first is not None
    assert second is not None
    await runs.fail(first, OutcomeUnknown("late"))
    with pytest.raises(LeaseLost):
        await runs.release(first)
    (row,) = await auditor.runs()
    assert (row.state, row.failures, row.lock_token) == ("running", 0, second.token)


async def test_runs_that_see_nothing_for_days_are_told(auditor: Auditor, caplog: Log) -> None:
    """Red when only items are looked at: a list that cannot be read has none."""
    assert await auditor.listing() is not None
    refuse(auditor, OutcomeUnknown("its list is too long"))
    for days, count in ((1, 0), (2, 1)):
        caplog.clear()
        auditor.clock.move(days * DAY)
        assert await auditor.listing(now=True) is None
        async with auditor.kit.caller().system("payments").begin() as ctx:
            await plugin_of(auditor).recon_alerts(ctx)
        assert sum("payments_reconcile_overdue" in one for one in caplog.messages) == count


async def test_a_state_that_nobody_knows_is_not_agreed(auditor: Auditor) -> None:
    """Red when it marks the operation as found: it would never be asked for again."""
    await auditor.desk.drive((await auditor.desk.pay("tok_ok")).id)
    listed, fetch = auditor.provider.list_since, auditor.provider.fetch

    async def list_puzzles(cursor: str) -> Any:
        async for one in listed(cursor):
            yield replace(one, state="unknown")

    async def puzzle(ref: str) -> Evidence:
        return replace(await fetch(ref), state="unknown")

    auditor.provider.list_since, auditor.provider.fetch = list_puzzles, puzzle  # type: ignore[method-assign]
    assert "agreed" not in await auditor.counts()
    assert not any(one.reconciled_at for one in await auditor.operations())
