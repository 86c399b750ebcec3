"""What the audit log keeps of instances that begin, or cease, to move real money."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from test_stripe_starting import TEST_KEY, ElsewherePlugin, instances, live  # beside this file

from corekit.contracts.audit import Audit, AuditEntry, AuditQuery
from corekit.contracts.payments import ProviderSettings
from corekit.data import DatabaseSettings
from corekit.settings import Secret
from corekit.testing import FakeClock, make_kit
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.going_live import record_live
from corekit_payments.live import live_instances

ON = instances(key_secret=Secret(live("sk")))


class Starts:
    """Starts production again and again on one database, and reads what the audit has of it then."""

    def __init__(self, database: DatabaseSettings, folder: Path, clock: FakeClock) -> None:
        self._place: dict[str, Any] = {"database": database, "tmp_path": folder, "clock": clock}
        self._clock = clock

    async def __call__(self, *, twice: bool = False, env: str = "production", **settings: Any) -> list[AuditEntry]:
        self._clock.move(60)
        given = PaymentsSettings(sweep=False, **settings)
        plugins = [ElsewherePlugin(env), PaymentsPlugin(given)]
        async with make_kit(plugins, settings={"jobs": {"worker": False}}, **self._place) as kit:
            if twice:
                await asyncio.gather(*(record_live(kit, given) for _ in range(8)))
            async with kit.caller().system("payments").begin(readonly=True) as ctx:
                return (await kit.get(Audit).find(ctx, AuditQuery(action="payments.provider."))).items


@pytest.fixture
def start(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> Starts:
    return Starts(database, tmp_path, clock)


def told(entries: list[AuditEntry]) -> list[tuple[str, str]]:
    """Write them down, the oldest first; those of one moment have no order."""
    rows = [(one.created_at, one.action, str(one.target.id)) for one in entries if one.target]
    return [(action.removeprefix("payments.provider."), name) for _, action, name in sorted(rows)]


async def test_it_is_recorded_once_when_it_begins_and_when_it_ends(start: Starts) -> None:
    """Red when each start writes, when a key is written, and when a second beginning is not told."""
    test = instances(key_secret=TEST_KEY)
    assert await start(providers=test) == []
    assert await start(providers=test, live=True) == []
    first = await start(providers=ON, live=True)
    assert told(first) == [("live_enabled", "cards")]
    assert first[0].details == {"kind": "stripe", "enabled": True}
    assert (first[0].actor, first[0].purpose, first[0].tenant) == (None, "payments", None)
    assert await start(providers=ON, live=True) == first
    more = {**ON, "others": ProviderSettings(kind="stripe", key_secret=Secret(live("rk")))}
    assert told(await start(providers=more, live=True))[1:] == [("live_enabled", "others")]
    assert told(await start(providers=test))[2:] == [("live_disabled", "cards"), ("live_disabled", "others")]
    assert told(await start(providers=ON, live=True))[4:] == [("live_enabled", "cards")]


async def test_processes_that_start_together_write_one(start: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the lock on PostgreSQL: each of them finds nothing there, and writes."""
    with monkeypatch.context() as quiet:
        quiet.setattr("corekit_payments.plugin.record_live", lambda *_: asyncio.sleep(0))
        assert told(await start(twice=True, providers=ON, live=True)) == [("live_enabled", "cards")]


def test_what_moves_real_money() -> None:
    def named(**fields: Any) -> frozenset[str]:
        instance = ProviderSettings(**{"kind": "acme", "key_secret": Secret("whatever"), **fields})
        return live_instances(PaymentsSettings(live=True, providers={"one": instance}))

    assert named() == {"one"}, "what its keys look like is not known"
    assert named(key_id="rzp_live_1") == {"one"}
    for quiet in ({"key_id": "rzp_test_1"}, {"key_secret": TEST_KEY}, {"enabled": False}, {"kind": "sandbox"}):
        assert named(**quiet) == frozenset()
    assert live_instances(PaymentsSettings(providers=ON)) == frozenset()
