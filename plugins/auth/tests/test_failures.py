"""Statement 6, as arithmetic: a day of guessing, restarts, and who shares a bucket."""

from pathlib import Path

from corekit import Corekit
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin, AuthSettings
from corekit_auth.errors import OverRequestRate
from corekit_auth.failures import Failures
from corekit_auth.purposes import SIGN_IN


async def guess(kit: Corekit, failures: Failures, purpose: str = "password", subject: str = "ann") -> float:
    """Charge once; return how long to wait, 0 where it passed."""
    try:
        async with kit.caller().system(SIGN_IN).begin() as ctx:
            await failures.charge(ctx, purpose, subject)
    except OverRequestRate as refused:
        return float(refused.extensions["retry_after"])
    return 0.0


async def test_a_day_of_guessing_passes_39_then_24_a_day(kit: Corekit, clock: FakeClock) -> None:
    failures = Failures(AuthSettings())
    passed = []
    for _ in range(2):
        count, left = 0, 86_400.0
        while left > 0:
            wait = await guess(kit, failures)
            count += wait == 0
            clock.move(min(wait, left))
            left -= wait or 0.001
        passed.append(count)
    assert passed[0] <= 39
    assert passed[1] <= 25


async def test_a_quiet_day_forgives(kit: Corekit, clock: FakeClock) -> None:
    failures = Failures(AuthSettings())
    for _ in range(10):
        assert await guess(kit, failures) == 0
    assert await guess(kit, failures) == 30
    clock.move(24 * 3600 + 31)
    for _ in range(10):
        assert await guess(kit, failures) == 0


async def test_buckets_do_not_touch(kit: Corekit) -> None:
    failures = Failures(AuthSettings(failures_free=2))
    assert await guess(kit, failures) == 0
    assert await guess(kit, failures) == 0
    assert await guess(kit, failures) > 0
    assert await guess(kit, failures, "current-password") == 0
    assert await guess(kit, failures, subject="bob") == 0
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        await failures.forget(ctx, "password", "bob")
    assert await guess(kit, failures) > 0


async def test_they_outlive_a_restart(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> None:
    failures = Failures(AuthSettings(failures_free=2))
    for expected in (False, False, True, True):
        async with make_kit([AuthPlugin()], database=database, tmp_path=tmp_path, clock=clock) as kit:
            assert (await guess(kit, failures) > 0) == expected
