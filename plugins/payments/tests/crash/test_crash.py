"""Processes that pay are killed wherever it hurts, and the provider's journal is held against the books."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from crash_fate import SHAPES  # beside this file
from crash_server import ForkServer
from crash_world import World

from corekit.data import DatabaseSettings

PAYING = {"start", "claimed", "sending", "sent", "replied", "precommit", "committed"}
POINTS = PAYING | {"told", "heard", "noticed", "compared", "advanced", "expired"}
KILLS = {"sqlite": 300, "postgresql": 150}  # `nox -s crash` does many more


def wanted(database: DatabaseSettings) -> int:
    """Say how often to kill: `COREKIT_CRASH_KILLS` is `SQLITE,POSTGRESQL`."""
    engine = "sqlite" if database.url.startswith("sqlite") else "postgresql"
    given = os.environ.get("COREKIT_CRASH_KILLS")
    return int(given.split(",")[engine == "postgresql"]) if given else KILLS[engine]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no-keys"])
def test_whoever_is_killed_nothing_is_paid_twice_or_lost(
    fork_server: ForkServer, database: DatabaseSettings, tmp_path: Path, *, keys: bool
) -> None:
    kills = wanted(database) * 2 // 3 if keys else wanted(database) // 3
    world = World(fork_server, database, tmp_path, keys=keys, shapes=SHAPES).run(kills)
    payments = world.compare()
    deaths = Counter((tmp_path / "deaths").read_text().split())
    sys.stdout.write(f"{world.kills} kills, {payments} payments, {dict(deaths)}\n")  # `pytest -rP` shows it
    assert payments >= kills // 8
    assert set(deaths) >= PAYING or kills < 150  # few may miss a place
    assert set(deaths) == POINTS or kills < 500


@pytest.mark.timeout(600)
@pytest.mark.parametrize("control", ["no_key", "no_row", "memory_key", "no_lookup"])
def test_without_its_protection_it_is_paid_twice(
    fork_server: ForkServer, database: DatabaseSettings, tmp_path: Path, control: str
) -> None:
    """A harness in which nothing is ever paid twice would prove nothing."""
    world = World(fork_server, database, tmp_path, control=control, keys=control != "no_lookup", shapes=1)
    authorized = world.run(24, orders=10, finish=False).authorized()
    assert sum(times > 1 for times in authorized.values()) >= 0.2 * len(authorized)
