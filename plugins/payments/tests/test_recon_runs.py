"""Who runs: one at a time, one after another, and not again at once where it failed."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from recon_desk import Auditor
from test_reconciliation import paid  # beside this file
from troubled_desk import opened

from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock


@pytest.fixture
async def auditor(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Auditor]:
    async with opened(database, tmp_path, clock) as desk:
        yield Auditor(desk)


async def test_a_runner_that_died_is_followed_by_one_that_goes_on(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the cursor is not kept with each page, or a live lease does not keep another out."""
    monkeypatch.setattr("corekit_payments.recon.asking.PAGE", 2)
    for _ in range(5):
        await paid(auditor)
    auditor.clock.move(60)
    compared: list[str | None] = []

    class Killed(BaseException):
        """As if the process had ended."""

    def kill(run: Any) -> None:
        compared.append(run.cursor)
        if run.counts["listed"] == 4:
            raise Killed

    with pytest.raises(Killed):
        await auditor.listing(progress=kill)
    assert await auditor.listing(now=True) is None  # it may live yet
    auditor.clock.move(301)
    run = await auditor.listing()
    assert run is not None
    assert dict(run.counts) == {"listed": 5, "agreed": 5}  # one of them after the kill
    assert all(one.reconciled_at for one in await auditor.operations())


async def test_a_runner_whose_lease_has_passed_on_writes_nothing_more(
    auditor: Auditor, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when the token of a lease is not compared: two would move one cursor."""
    await paid(auditor)
    auditor.clock.move(60)
    listed, others = auditor.provider.list_since, []

    async def slow(cursor: str) -> Any:
        async for one in listed(cursor):
            if not others:
                others.append(None)
                auditor.clock.move(301)
                others[0] = await auditor.listing(now=True)  # type: ignore[call-overload]
            yield one

    auditor.provider.list_since = slow  # type: ignore[method-assign]
    assert await auditor.listing() is None
    assert others[0] is not None
    assert [one for one in caplog.messages if "payments_reconcile_lost" in one]
    (row,) = await auditor.runs()
    assert (row.state, row.counts, row.lock_token) == ("ended", {"listed": 1, "agreed": 1}, 2)


async def test_a_failure_rests_and_goes_on_from_there(auditor: Auditor) -> None:
    await paid(auditor)
    auditor.clock.move(60)
    asked: list[str] = []
    listed = auditor.provider.list_since

    async def down(cursor: str) -> Any:
        asked.append(cursor)
        raise OutcomeUnknown("down")
        yield Evidence  # pragma: no cover  # it is a list all the same

    auditor.provider.list_since = down  # type: ignore[method-assign, assignment]
    assert [await auditor.listing() for _ in range(3)] == [None] * 3
    assert len(asked) == 1
    auditor.clock.move(6 * 3600)
    auditor.provider.list_since = listed  # type: ignore[method-assign]
    assert await auditor.listing() is not None
    (row,) = await auditor.runs()
    assert (row.state, row.failures, row.failure, row.next_at) == ("ended", 0, None, None)


async def test_a_refused_key_stops_all_until_somebody_asks(auditor: Auditor, caplog: pytest.LogCaptureFixture) -> None:
    """Red when 401 is taken for one of the failures that pass."""
    asked = 0

    async def refused(_: str) -> Any:
        nonlocal asked
        asked += 1
        raise NotAttempted("the provider refused our key (401)", refused=True)
        yield Evidence  # pragma: no cover  # it is a list all the same

    auditor.provider.list_since = refused  # type: ignore[method-assign, assignment]
    assert await auditor.listing() is None
    assert [one for one in caplog.messages if "payments_circuit_open" in one]
    auditor.clock.move(6 * 3600 - 1)
    assert await auditor.listing() is None
    assert asked == 1
    assert await auditor.listing(now=True) is None
    assert asked == 2
    del auditor.provider.list_since
    assert await auditor.listing(now=True) is not None
