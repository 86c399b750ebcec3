"""Payments through the service, beside the same statements on the raw driver, on both databases; and over HTTP.

`uv run python benchmarks/payments.py`. What the service sends to the database is noted, transaction by transaction,
and then sent again by `sqlite3` or asyncpg to a database that is as empty as the first one was. *Created* is one
transaction; *paid* is created, confirmed, sent to the sandbox, and booked. Over HTTP: creating with a new key each
time, and again with the same keys.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
from keep_alive import Connection
from served_auth import cpu_seconds, pin, reference_kit, sign_up
from sqlalchemy import event
from sqlalchemy.engine import Engine

from corekit import Actor, Corekit
from corekit.contracts.payments import NewPayment, Payments, TokenMethod
from corekit.data import DatabaseSettings
from corekit.testing import PostgresServer, make_kit
from corekit.values import Money
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.fraud.settings import FraudSettings, VelocityRule

SERVICE_GOAL, REPLAY_GOAL, P99_GOAL = 0.6, 2.0, 50
ALICE = Actor("alice")
PAY = NewPayment(amount=Money(49900, "INR"), allow_duplicate=True)
FREQUENT = VelocityRule(minute=10**6, hour=10**6, day=10**6, day_sum={"INR": 10**12})  # asked, and without objection
PAY_NOW = msgspec.structs.replace(PAY, confirm=True, method=TokenMethod(token="tok_ok"))  # noqa: S106
CLIENTS = 8
Statement = tuple[str, Any]


class Notes:
    """What an engine sends: a list of statements for each transaction."""

    def __init__(self) -> None:
        self.transactions: list[list[Statement]] = []
        self._open: dict[int, list[Statement]] = {}

    def listen(self) -> None:
        """Listen to every engine from now on."""
        event.listen(Engine, "before_cursor_execute", self._note)
        event.listen(Engine, "commit", self._end)
        event.listen(Engine, "rollback", self._end)

    def deafen(self) -> None:
        """Listen no more."""
        for name, heard in (("before_cursor_execute", self._note), ("commit", self._end), ("rollback", self._end)):
            event.remove(Engine, name, heard)

    def _note(self, connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        rows = parameters if many else [parameters]
        self._open.setdefault(id(connection.connection.dbapi_connection), []).extend((statement, row) for row in rows)

    def _end(self, connection: Any) -> None:
        if said := self._open.pop(id(connection.connection.dbapi_connection), None):
            self.transactions.append(said)


async def created(kit: Corekit) -> None:
    """Create a payment."""
    async with kit.caller(ALICE).system("payments").begin() as ctx:
        await ctx.get(Payments).create(ctx, PAY)


async def paid(kit: Corekit) -> None:
    """Create a payment, and have it paid."""
    payments = kit.get(Payments)
    async with kit.caller(ALICE).system("payments").begin() as ctx:
        made = await payments.create(ctx, PAY_NOW)
    done = await payments.drive(kit.caller(ALICE), made.id)
    assert done.status == "succeeded", done


async def rate(work: Callable[[], Awaitable[None]], count: int, clients: int) -> float:
    """Do it so often, with so many at once; return how often in a second."""
    began = time.perf_counter()

    async def several() -> None:
        for _ in range(count // clients):
            await work()

    await asyncio.gather(*(several() for _ in range(clients)))
    return count / (time.perf_counter() - began)


def replay_sqlite(path: Path, transactions: Sequence[list[Statement]]) -> float:
    """Send them again; return the seconds that it took."""
    with sqlite3.connect(path, isolation_level=None) as raw:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            raw.execute(f"PRAGMA {pragma}")
        began = time.perf_counter()
        for statements in transactions:
            raw.execute("BEGIN IMMEDIATE")
            for statement, row in statements:
                if not statement.startswith(("BEGIN", "COMMIT", "PRAGMA")):
                    raw.execute(statement, row).fetchall()
            raw.execute("COMMIT")
        took = time.perf_counter() - began
    raw.close()
    return took


async def replay_postgresql(url: str, transactions: Sequence[list[Statement]]) -> float:
    """Send them again; return the seconds that it took."""
    raw = await asyncpg.connect(url)
    began = time.perf_counter()
    for statements in transactions:
        async with raw.transaction():
            for statement, row in statements:
                await raw.fetch(statement, *row)
    took = time.perf_counter() - began
    await raw.close()
    return took


@asynccontextmanager
async def kit_on(folder: Path, database: DatabaseSettings | None) -> AsyncGenerator[Corekit]:
    """Start payments alone."""
    settings = {"jobs": {"worker": False}}
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False, fraud=FraudSettings(velocity=FREQUENT)))
    async with make_kit([plugin], database=database, tmp_path=folder, settings=settings) as kit:
        yield kit


async def compare(name: str, work: Any, count: int, bases: Callable[[], Awaitable[DatabaseSettings | None]]) -> float:
    """Tell how fast the service is, alone and with several clients, and the same statements raw; return the ratio."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        notes, database = Notes(), await bases()
        async with kit_on(Path(one), database) as kit:
            notes.listen()
            await rate(lambda: work(kit), count, 1)
            notes.deafen()
        dialect, again = kit.database.dialect, await bases()
        async with kit_on(Path(other), again) as kit:
            alone = await rate(lambda: work(kit), count, 1)
            several = await rate(lambda: work(kit), count, CLIENTS)
        with tempfile.TemporaryDirectory() as third:
            empty = await bases()
            async with kit_on(Path(third), empty) as kit:
                path = kit.database.path
            if empty is None:
                assert path is not None
                took = await asyncio.to_thread(replay_sqlite, path, notes.transactions)
            else:
                took = await replay_postgresql(empty.owner_url or empty.url, notes.transactions)
    statements, commits = sum(map(len, notes.transactions)) / count, len(notes.transactions) / count
    print(
        f"{dialect:<11} {name:<8} {alone:6.0f}/s, {several:6.0f}/s with {CLIENTS}; raw {count / took:6.0f}/s",
        f"({statements:.0f} statements, {commits:.0f} commits): {alone * took / count:.2f}",
        flush=True,
    )
    return alone * took / count


async def over_http(name: str, database: DatabaseSettings | None, count: int) -> None:
    """Tell how long requests take, and what a repetition costs."""
    with tempfile.TemporaryDirectory() as folder:
        async with reference_kit(Path(folder), database, plugins=("auth", "realtime", "payments")) as (port, pid):
            pin(0, pid)
            [session] = await sign_up(port, 1)
            keys = [uuid4().hex for _ in range(count)]
            body = {"amount": {"amount": 49900, "currency": "INR"}}
            found: dict[str, tuple[float, float, list[float]]] = {}
            for what in ("warm up", "new", "again"):
                waiting, took = iter([uuid4().hex for _ in range(count)] if what == "warm up" else keys), list[float]()

                async def client(waiting: Any = waiting, took: Any = took) -> None:
                    connection = await Connection.open(port)
                    for key in waiting:
                        began = time.perf_counter()
                        headers = [f"Authorization: Bearer {session['access_token']}", f"Idempotency-Key: {key}"]
                        status, answer = await connection.post("/payments/v1/payments", body, headers=headers)
                        assert status == 201, answer
                        took.append(1000 * (time.perf_counter() - began))
                    connection.close()

                began, spent = time.perf_counter(), cpu_seconds(pid)
                await asyncio.gather(*(client() for _ in range(CLIENTS)))
                used = 1000 * (cpu_seconds(pid) - spent) / count
                found[what] = count / (time.perf_counter() - began), used, sorted(took)
    (new, spent, took), again = found["new"], found["again"][0]
    print(
        f"{name:<11} HTTP     {new:6.0f}/s, {spent:.1f} ms of CPU time each, p50 {median(took):.0f} ms,",
        f"p99 {took[int(count * 0.99)]:.0f} ms (goal < {P99_GOAL}); again {again / new:.2f} × (goal ≥ {REPLAY_GOAL})",
        flush=True,
    )


async def main(count: int, server: PostgresServer, urls: Sequence[str]) -> None:
    """Compare on both databases."""
    pin(1)
    left = iter(urls)

    async def sqlite() -> None:
        return None

    async def postgresql() -> DatabaseSettings:
        return await server.settings(next(left))

    print(f"the last figure of a line is the service's share of the raw driver's rate (goal ≥ {SERVICE_GOAL})")
    for bases in (sqlite, postgresql):
        for name, work in (("created", created), ("paid", paid)):
            await compare(name, work, count, bases)
        await over_http("sqlite" if bases is sqlite else "postgresql", await bases(), count * 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=400, help="in each row (400)")
    given = parser.parse_args()
    with PostgresServer.started() as started, ExitStack() as stack:
        databases = [stack.enter_context(started.database()) for _ in range(7)]
        asyncio.run(main(given.payments, started, databases))
