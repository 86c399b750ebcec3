"""Processes that pay are killed wherever it hurts, and the provider's journal is held against the books."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from corekit.data import DatabaseSettings
from corekit.testing import make_kit
from corekit_payments import PaymentsPlugin
from corekit_payments.books import derived_of
from corekit_payments.ledger import broken
from corekit_payments.models import OperationRow, PaymentRow
from corekit_payments.sandbox import Journal

PROGRAM = Path(__file__).parent / "crash_life.py"
POINTS = {"start", "claimed", "sending", "sent", "replied", "precommit", "committed"}
KILLS = {"sqlite": 60, "postgresql": 30}  # `nox -s crash` does many more
SEED = 20300101


class World:
    """The run as the outside sees it: it starts lives, moves their clock, and counts."""

    def __init__(self, database: DatabaseSettings, folder: Path, **setting: Any) -> None:
        self.database, self.folder = database, folder
        self.now = datetime(2030, 1, 1, 12, tzinfo=UTC)
        self.kills = self.lives = 0
        given = {"database": msgspec.to_builtins(database), "folder": str(folder), **setting}
        self.setting = msgspec.json.encode(given).decode()
        self._server: subprocess.Popen[str] | None = None

    @contextmanager
    def running(self) -> Iterator["World"]:
        """Keep the fork server for so long."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with (
            (self.folder / "log").open("w") as log,
            subprocess.Popen([sys.executable, str(PROGRAM), self.setting], text=True, stderr=log, **pipes) as server,  # type: ignore[call-overload]  # pipes is a dictionary
        ):
            self._server = server
            yield self
            assert server.stdin is not None
            server.stdin.close()  # it ends

    def round(self, *kinds: bool, mortal: bool = True, orders: int = 4) -> list[int]:
        """Live some lives beside each other (`True` sweeps), past every lease of those before; return their ends."""
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        lives = [self.life(sweeps=kind, mortal=mortal, orders=orders) for kind in kinds]
        self._server.stdin.write(f"{msgspec.json.encode(lives).decode()}\n")
        self._server.stdin.flush()
        line = self._server.stdout.readline()
        assert line, (self.folder / "log").read_text()[-3000:]
        ended: list[int] = msgspec.json.decode(line)
        assert set(ended) <= {0, -signal.SIGKILL}, (self.folder / "log").read_text()[-3000:]
        self.kills += ended.count(-signal.SIGKILL)
        self.now += timedelta(seconds=121)
        return ended

    def life(self, **fields: Any) -> dict[str, Any]:
        """Write down a life; each has a seed of its own."""
        self.lives += 1
        return {"seed": SEED + self.lives, "now": self.now, **fields}

    def run(self, kills: int, *, orders: int = 0, finish: bool = True) -> "World":
        """Kill so often, and until so many orders have moved money; then let everything end, or leave it as it is."""
        self.round(False, mortal=False, orders=0)  # the tables
        while self.kills < kills or len(self.authorized()) < orders:
            assert self.lives < 8 * kills + 20, "hardly anybody dies, or pays"
            self.round(*((False, True) if self.lives % 4 == 0 else (False,)))
        for _ in range(6 if finish else 0):
            self.round(False, mortal=False, orders=0)
            self.round(True, mortal=False)
        return self

    def doubles(self) -> int:
        """Count what was done more than once for one request."""
        return sum(times > 1 for times in self.effects().values())

    def effects(self) -> Counter[tuple[str, str]]:
        """Count effects by what they were asked for as."""
        return Counter((one.reference, one.kind) for one in Journal(self.folder / "journal.db").effects())

    def authorized(self) -> dict[tuple[str, str], int]:
        """Count authorisations by what they were asked for as."""
        return {what: times for what, times in self.effects().items() if what[1] == "authorize"}

    async def books(self) -> list[tuple[PaymentRow, list[OperationRow]]]:
        """Read every payment with its operations."""
        kit = make_kit([PaymentsPlugin()], database=self.database, tmp_path=self.folder / "data",
                       settings={"jobs": {"worker": False}})  # fmt: skip
        async with kit as made, made.caller().system("payments").begin(readonly=True) as ctx:
            payments = (await ctx.session.scalars(select(PaymentRow))).all()
            every = (await ctx.session.scalars(select(OperationRow).order_by(OperationRow.seq))).all()
            assert await broken(ctx) == {}, "the ledger"
        return [(one, [op for op in every if op.payment_id == one.id]) for one in payments]

    def compare(self) -> int:
        """Hold books, journal and what clients were told against each other; return how many payments there are."""
        assert self.doubles() == 0
        moved: Counter[tuple[str, str]] = Counter()
        for effect in Journal(self.folder / "journal.db").effects():
            moved[effect.parent, effect.kind] += effect.amount
        books = asyncio.run(self.books())
        orders = Counter(int(payment.merchant_reference or 0) for payment, _ in books)
        told = {int(line) for line in (self.folder / "acknowledged").read_text().split()}
        assert told <= set(orders), "lost"
        assert max(orders.values()) == 1, "an order was paid by two payments"
        for payment, operations in books:
            first = operations[0].provider_ref or ""
            charged = [moved.pop((first, kind), 0) for kind in ("authorize", "capture", "refund", "void")]
            voided = sum(one.amount for one in operations if one.kind == "void" and one.state == "succeeded")
            assert charged == [payment.authorized, payment.captured, payment.refunded, voided]
            ends = [(1000, 1000, 0, 0), (1000, 700, 300, 0), (1000, 0, 0, 1000)]
            assert tuple(charged) == ends[int(payment.merchant_reference or 0) % 3], payment.status
            for name, value in msgspec.structs.asdict(derived_of(payment, operations)).items():
                assert getattr(payment, name) == value, name
        assert not moved, "charged and not booked"
        return len(books)


def wanted(database: DatabaseSettings) -> int:
    """Say how often to kill: `COREKIT_CRASH_KILLS` is `SQLITE,POSTGRESQL`."""
    engine = "sqlite" if database.url.startswith("sqlite") else "postgresql"
    given = os.environ.get("COREKIT_CRASH_KILLS")
    return int(given.split(",")[engine == "postgresql"]) if given else KILLS[engine]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no-keys"])
def test_whoever_is_killed_nothing_is_paid_twice_or_lost(
    database: DatabaseSettings, tmp_path: Path, *, keys: bool
) -> None:
    kills = wanted(database) * 2 // 3 if keys else wanted(database) // 3
    with World(database, tmp_path, keys=keys).running() as world:
        world.run(kills)
    payments = world.compare()
    deaths = Counter((tmp_path / "deaths").read_text().split())
    sys.stdout.write(f"{world.kills} kills, {payments} payments, {dict(deaths)}\n")  # `pytest -rP` shows it
    assert payments >= kills // 8
    assert set(deaths) == POINTS or kills < 100  # few may miss a place


@pytest.mark.timeout(600)
@pytest.mark.parametrize("control", ["no_key", "no_row", "memory_key", "no_lookup"])
def test_without_its_protection_it_is_paid_twice(database: DatabaseSettings, tmp_path: Path, control: str) -> None:
    """A harness in which nothing is ever paid twice would prove nothing."""
    with World(database, tmp_path, control=control, keys=control != "no_lookup").running() as world:
        world.run(24, orders=10, finish=False)
    authorized = world.authorized()
    assert sum(times > 1 for times in authorized.values()) >= 0.2 * len(authorized)


def test_a_driver_that_slept_past_its_lease_writes_nothing(database: DatabaseSettings, tmp_path: Path) -> None:
    with World(database, tmp_path).running() as world:
        world.round(False, mortal=False, orders=0)
        life = msgspec.json.encode(world.life(mortal=False, orders=1, stops="replied")).decode()
        with subprocess.Popen([sys.executable, str(PROGRAM), world.setting, life]) as sleeper:
            try:
                _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
                assert os.WIFSTOPPED(status)
                world.now += timedelta(seconds=121)
                for _ in range(3):
                    world.round(False, mortal=False, orders=0)
                before = asyncio.run(world.books())
                sleeper.send_signal(signal.SIGCONT)
                assert sleeper.wait(60) == 0
            finally:
                sleeper.kill()
    after = asyncio.run(world.books())
    assert [_stored(row) for row in _rows(after)] == [_stored(row) for row in _rows(before)]
    assert world.compare() == 1


def _rows(books: list[tuple[PaymentRow, list[OperationRow]]]) -> list[PaymentRow | OperationRow]:
    return [row for payment, operations in books for row in (payment, *operations)]


def _stored(row: PaymentRow | OperationRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
