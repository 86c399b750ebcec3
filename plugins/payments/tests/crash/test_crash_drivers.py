"""Drivers that are not killed but sleep past their lease: what they wake up with is written by nobody."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from crash_server import ForkServer  # beside this file
from crash_world import STEP, Books, World

from corekit.data import DatabaseSettings
from corekit_payments.models import OperationRow, PaymentRow
from corekit_payments.transitions import OPEN

STOPPED = -signal.SIGSTOP


@pytest.mark.timeout(600)
def test_a_driver_that_slept_past_its_lease_writes_nothing(
    fork_server: ForkServer, database: DatabaseSettings, tmp_path: Path
) -> None:
    world = World(fork_server, database, tmp_path)
    (sleeper,) = world.round("pay", mortal=False, orders=1, stops="replied", allowed=(STOPPED,))
    for _ in range(3):
        world.round("pay", mortal=False, orders=0)
    before = asyncio.run(world.books())
    woken(world, sleeper["pid"])
    after = asyncio.run(world.books())
    assert [_stored(row) for row in _rows(after)] == [_stored(row) for row in _rows(before)]
    assert world.compare() == 3 + 1


@pytest.mark.timeout(600)
def test_eight_drivers_want_the_same_and_one_of_them_sleeps(
    fork_server: ForkServer, database: DatabaseSettings, tmp_path: Path
) -> None:
    """Their clocks go, and a lease is over after five seconds, whether its driver is done by then or not."""
    world = World(fork_server, database, tmp_path, lease=5.0)
    for _ in range(2):  # what was asked for first, then what follows from it
        world.round("pay", mortal=False, orders=8, drives=False)
        sleeping = {"mortal": False, "orders": 0, "stops": "replied", "leaves": True}
        (sleeper,) = world.round("pay", **sleeping, allowed=(STOPPED,))
        world.now -= STEP  # its lease is not over yet for those who come now
        world.round(*["sweep"] * 7, mortal=False)
        before = driven(world)
        woken(world, sleeper["pid"])
        after = asyncio.run(world.books())
        assert [_stored(row) for row in _rows(after)] == [_stored(row) for row in _rows(before)]
    world.finish()
    assert world.compare() == 3 + 16


def driven(world: World) -> Books:
    """Have others drive until nothing is left, and return the books."""
    for _ in range(20):
        world.round("sweep", mortal=False)
        books = asyncio.run(world.books())
        if not any(operation.state in OPEN for _, operations in books for operation in operations):
            return books
    pytest.fail("it is not driven to its end")


def woken(world: World, pid: int) -> None:
    """Let a process that was stopped go on to its end."""
    world.server.send(setting=world.setting, go_on=[pid])
    assert world.server.heard() == [{"pid": pid, "code": 0}]


def _rows(books: Books) -> list[PaymentRow | OperationRow]:
    return [row for payment, operations in books for row in (payment, *operations)]


def _stored(row: PaymentRow | OperationRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
