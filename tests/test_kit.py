"""The life of a kit: started once at a time, drained, stopped, and nothing left open when a start fails."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from corekit import Corekit, Kit, Plugin, Settings
from corekit.errors import InsideContext, PluginError
from corekit.testing import make_kit


async def test_a_kit_starts_once_and_again_after_its_stop(tmp_path: Path) -> None:
    kit = Corekit([], data_dir=tmp_path)
    for _ in range(2):
        async with kit:
            assert kit.started
            with pytest.raises(PluginError, match="started already"):
                await kit.__aenter__()
            await kit.drain(0)
            assert (await kit.health.ready())[0] is False
        assert not kit.started
    async with kit:
        assert (await kit.health.ready())[0] is True


async def test_a_kit_that_is_not_started_says_so(tmp_path: Path) -> None:
    kit = Corekit([], data_dir=tmp_path)
    with pytest.raises(PluginError, match="not started"):
        async with kit.caller().begin():
            pass


async def test_a_plugin_that_cannot_drain_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drained: list[float] = []

    class Stuck(Plugin[Settings]):
        name = "stuck"

        async def drain(self, seconds: float) -> None:
            raise ConnectionError

    class Good(Plugin[Settings]):
        name = "good"

        async def drain(self, seconds: float) -> None:
            drained.append(seconds)

    async with make_kit([Stuck(), Good()], tmp_path=tmp_path) as kit:
        await kit.drain(5)
    assert drained == [5]
    assert "drain_failed" in caplog.text


async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    stopped: list[str] = []

    class Good(Plugin[Settings]):
        name = "good"

        @asynccontextmanager
        async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
            yield
            stopped.append("good")

    class Bad(Plugin[Settings]):
        name = "bad"

        @asynccontextmanager
        async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
            if kit.env:
                raise InsideContext("cannot start")
            yield

    kit = Corekit([Good(), Bad()], data_dir=tmp_path)
    with pytest.raises(InsideContext):
        await kit.__aenter__()
    assert stopped == ["good"]
    assert not kit.started
