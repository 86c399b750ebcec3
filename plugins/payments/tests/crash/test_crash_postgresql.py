"""PostgreSQL itself ends at once, again and again, while payments are made; then journal and books are compared."""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from crash_fate import SHAPES  # beside this file
from crash_server import ForkServer
from crash_world import World

from corekit.testing import PostgresServer, free_port
from corekit.testing.services.server import Launch

STOPS = 3  # `nox -s crash` does many more: `COREKIT_CRASH_STOPS`


class Immediate(PostgresServer):
    """One that forgets nothing which it has confirmed, and is stopped as by `pg_ctl stop -m immediate`: by SIGQUIT."""

    options = ("-c", "fsync=on")

    @classmethod
    def launch(cls, folder: Path, port: int, password: str, *, keep: bool) -> Launch:
        return msgspec.structs.replace(super().launch(folder, port, password, keep=keep), signal=signal.SIGQUIT)


class Machine:
    """Where it runs: its folder, port and password stay the same."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()

    @contextmanager
    def up(self) -> Iterator[PostgresServer]:
        """Run it, and stop it in the middle of everything."""
        reading, holding = os.pipe()
        try:
            with Immediate.kept(self.folder, self.port, "as it was", hold=holding) as server:
                yield server
        finally:
            os.close(reading)
            os.close(holding)


@pytest.fixture
def machine() -> Iterator[Machine]:
    if "postgresql" not in os.environ.get("COREKIT_TEST_DATABASES", "sqlite,postgresql").split(","):
        pytest.skip("COREKIT_TEST_DATABASES leaves PostgreSQL out")
    with tempfile.TemporaryDirectory(prefix="corekit-crash-") as folder:
        Path(folder).chmod(0o755)  # root runs it as somebody else
        yield Machine(Path(folder) / "server")


@pytest.mark.timeout(1800)
def test_a_server_that_ends_at_once_costs_no_payment(fork_server: ForkServer, machine: Machine, tmp_path: Path) -> None:
    stops, drawn = int(os.environ.get("COREKIT_CRASH_STOPS", STOPS)), random.Random(1)  # noqa: S311  # no secret
    with machine.up() as server:
        database = asyncio.run(server.settings(asyncio.run(server.ensure("payments"))))
        world = World(fork_server, database, tmp_path, shapes=SHAPES)
        waiting = between(world, 1)
    for number in range(2, stops + 1):
        with machine.up():
            go_on(world, waiting)
            waiting = between(world, number) if number % 3 else anywhere(world, drawn)
    with machine.up():
        go_on(world, waiting)
        world.finish()
        payments = world.compare()
    sys.stdout.write(f"{stops} stops, {payments} payments\n")  # `pytest -rP` shows it
    assert payments >= SHAPES + 4


def between(world: World, number: int) -> list[int]:
    """Have lives make payments, of which each waits at a point; return who waits."""
    does = ("pay", "sweep") if number % 2 else ("pay", "hear")
    # Who waits within a transaction keeps others from its payment: they give up, and are followed by others.
    ends = world.round(*does, mortal=False, stops="any", allowed=(0, 1, -signal.SIGSTOP))
    return [one["pid"] for one in ends if one["code"] == -signal.SIGSTOP]


def anywhere(world: World, drawn: random.Random) -> None:
    """Have lives make payments for some time."""
    lives = [world.life(does, mortal=False, orders=4) for does in ("pay", "sweep", "hear")]
    world.server.send(setting=world.setting, lives=lives)
    time.sleep(drawn.random())


def go_on(world: World, waiting: list[int] | None) -> None:
    """Let them see that their server does not know them any more, and come to whatever end that is."""
    if waiting is not None:
        world.server.send(setting=world.setting, go_on=waiting)
    world.ended((0, 1))
