"""The provider is a process of its own, which is killed as often as those who pay there."""

import signal
import time
from pathlib import Path

import pytest
from crash_server import ForkServer  # beside this file
from crash_world import World
from sandbox_process import process  # in the folder above

from corekit.data import DatabaseSettings
from corekit.testing import free_port

DEATHS = 2


@pytest.mark.timeout(600)
def test_a_provider_that_dies_with_its_answer_costs_no_payment(
    fork_server: ForkServer, sqlite_url: str, tmp_path: Path
) -> None:
    """Each death of the provider's finds lives at work; until it is back they are refused, or lose what it said."""
    port = free_port()
    with process(tmp_path, name="flaky", port=port) as (url, _):
        assert url.startswith("http://"), "it did not start"
        world = World(fork_server, DatabaseSettings(url=sqlite_url), tmp_path, sandbox=url)
        paying(world)
    for _ in range(DEATHS - 1):
        with process(tmp_path, name="flaky", port=port):
            world.ended((0, -signal.SIGKILL))
            world.round("pay", "sweep")
            paying(world)
    with process(tmp_path, name="flaky", port=port):
        world.ended((0, -signal.SIGKILL))
        world.finish()
        assert world.compare() >= 3 + DEATHS


def paying(world: World) -> None:
    """Have lives at work, and wait for no more than that the provider has done something."""
    before = len(world.journal.effects())
    lives = [world.life("pay", mortal=False, orders=4), world.life("sweep"), world.life("sweep")]
    world.server.send(setting=world.setting, lives=lives)
    for _ in range(10_000):
        if len(world.journal.effects()) > before:
            return
        time.sleep(0.01)
    pytest.fail(world.server.said())
