"""Health: probes are asked rarely, never for long, and an optional part only degrades."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from corekit import Plugin, Settings
from corekit.data import DatabaseSettings
from corekit.testing import make_kit
from corekit.watch import Check, Health, health


class Probe:
    """A check that is counted, and fails or hangs on demand."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.hangs = False

    async def __call__(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.fails:
            raise ConnectionError("db.internal:5432 refused ann@example.com")


@pytest.fixture
def probe() -> Probe:
    return Probe()


async def test_answers_are_kept_for_a_moment(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Health([Check("disk", probe)])
    states = await asyncio.gather(*(asked.ready() for _ in range(50)))
    assert states == [(True, {"disk": "ok"})] * 50
    assert probe.asked == 1
    monkeypatch.setattr(health, "FRESH", 0.0)
    probe.fails = True
    assert await asked.ready() == (False, {"disk": "down"})
    probe.fails = False
    assert await asked.ready() == (True, {"disk": "ok"})


async def test_a_probe_that_hangs_is_down_in_time(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.05)
    probe.hangs = True
    async with asyncio.timeout(10):
        assert await Health([Check("disk", probe), Check("other", Probe())]).ready() == (
            False,
            {"disk": "down", "other": "ok"},
        )


async def test_an_optional_part_only_degrades(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    probe.fails = True
    assert await Health([Check("cache", probe, required=False)]).ready() == (True, {"cache": "degraded"})
    assert "check_failed" in caplog.text
    assert "ann@" not in caplog.text


async def test_who_drains_gets_no_more_traffic(probe: Probe) -> None:
    asked = Health([Check("disk", probe)])
    asked.draining = True
    assert await asked.ready() == (False, {"disk": "ok"})


async def test_a_kit_asks_its_database_and_its_plugins(database: DatabaseSettings, tmp_path: Path) -> None:
    class Checked(Plugin[Settings]):
        name = "checked"

        def health(self) -> Iterable[Check]:
            yield Check("provider", Probe(), required=False)

    async with make_kit([Checked()], database=database, tmp_path=tmp_path) as kit:
        assert await kit.health.ready() == (True, {"database": "ok", "lanes": "ok", "provider": "ok"})
        health_after = kit.health
    health_after.reset()
    assert (await health_after.ready())[1]["database"] == "down"
