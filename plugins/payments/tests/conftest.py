"""A kit with payments and nothing else, and a till: payments in the states that tests start from."""

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent))

from counters import Counter, opened  # beside this file
from generous import GENEROUS

from corekit.context import Actor, Caller
from corekit.contracts.payments import Evidence, OperationState
from corekit.data import DatabaseSettings
from corekit.data.outbox import OutboxRow
from corekit.guard.audit_rows import AuditRow
from corekit.kit import Corekit
from corekit.testing import FakeClock, make_kit
from corekit.values import Money, uuid7
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.applying import Applied, apply
from corekit_payments.books import Books, derived_of, lock
from corekit_payments.deriving import Derived
from corekit_payments.ledger import balances, broken, post
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow, ReconciliationItemRow

ALICE, SHOP = Actor("alice"), Actor("shop")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SETTINGS = {
    "jobs": {"worker": False},
    "access": {
        "roles": {"support": ["payments:payment:read"], "clerk": ["payments:recon:resolve"]},
        "grants": {str(Actor("sue").id): ["support"], str(Actor("carl").id): ["clerk"]},
    },
}


class Till:
    """Makes payments and their operations as verbs would, and reads back what is stored."""

    def __init__(self, kit: Corekit) -> None:
        self.kit = kit

    def caller(self, person: Actor = ALICE, tenant: UUID | None = None) -> Caller:
        """Return who writes for a person."""
        return replace(self.kit.caller(person), tenant=tenant).system("payments")

    async def payment(self, amount: int = 1000, *, tenant: UUID | None = None, **fields: Any) -> UUID:
        """Store a payment of Alice's to the shop, without an attempt."""
        zero = dict.fromkeys(Derived.__struct_fields__, 0)
        status = "canceled" if fields.get("cancel_requested_at") else "requires_payment_method"
        start = {"status": status, "refund_status": "none", "dispute_status": "none"}
        given = {"capture_method": "automatic", "currency": "INR", "payee": SHOP.id, "max_attempts": 5, **fields}
        async with self.caller(tenant=tenant).begin() as ctx:
            row = PaymentRow(
                id=uuid7(), tenant=tenant, payer=ALICE.id, amount=amount, details={}, version=1, created_at=NOW,
                updated_at=NOW, **(zero | start | given),
            )  # fmt: skip
            ctx.session.add(row)
        return row.id

    async def attempt(self, payment: UUID, tenant: UUID | None = None) -> UUID:
        """Store another attempt to pay."""
        async with self.caller(tenant=tenant).begin() as ctx:
            books = await lock(ctx, payment)
            row = AttemptRow(
                id=uuid7(), tenant=tenant, payment_id=payment, n=len(books.operations) + 1, payer=ALICE.id,
                method_type="token", method_token="tok_ok", address="", agent="", device="", created_at=NOW,
            )  # fmt: skip
            ctx.session.add(row)
        return row.id

    async def begin(
        self,
        payment: UUID,
        kind: Any = "authorize",
        amount: int = 1000,
        *,
        state: OperationState = "sending",
        attempt: UUID | None = None,
        tenant: UUID | None = None,
        **fields: Any,
    ) -> UUID:
        """Begin an operation and put it into a state, its payment following."""
        attempt = attempt or await self.attempt(payment, tenant)
        async with self.caller(tenant=tenant).begin() as ctx:
            books = await lock(ctx, payment)
            op = books.begin(kind, attempt, "sandbox", amount, initiator=ALICE.id, **fields)
            op.state, op.sends = state, 1
            await ctx.session.flush()
            if kind in {"refund", "dispute"}:
                await post(books, op, None)
            await post(books, op, "created")
            books.settle_columns()
        return op.id

    async def apply(self, operation: UUID, evidence: Evidence, tenant: UUID | None = None, **options: Any) -> Applied:
        """Apply one piece of evidence in a transaction of its own."""
        async with self.caller(tenant=tenant).begin() as ctx:
            return await apply(ctx, operation, evidence, **{"via": "sweeper", **options})

    async def books(self, payment: UUID, tenant: UUID | None = None) -> Books:
        """Read a payment and its operations, and hold the stored columns against what follows from the rows."""
        async with self.caller(tenant=tenant).begin() as ctx:
            books = await lock(ctx, payment)
            for name, value in msgspec.structs.asdict(derived_of(books.payment, books.operations)).items():
                assert getattr(books.payment, name) == value, name
            assert await broken(ctx) == {}
            return books

    async def rows(self, row: Any) -> list[Any]:
        """Read a whole table with service rights."""
        async with self.caller().begin(readonly=True) as ctx:
            return list((await ctx.session.scalars(select(row).order_by(row.created_at, row.id))).all())

    async def events(self) -> list[str]:
        """Name the events that were told, sorted: within one transaction they have no order."""
        return sorted(row.tag.removeprefix("payments.") for row in await self.rows(OutboxRow) if row.kind == "event")

    async def audited(self) -> list[str]:
        """Name what the audit keeps, sorted."""
        return sorted(row.action.removeprefix("payments.") for row in await self.rows(AuditRow))

    async def sums(self) -> dict[str, int]:
        """Return what each account holds: debits less credits; a payee's account is named `payable` alone."""
        async with self.caller().begin(readonly=True) as ctx:
            return {one.code.partition(":usr_")[0]: one.debit - one.credit for one in await balances(ctx)}

    async def items(self) -> list[ReconciliationItemRow]:
        """Read the reconciliation items."""
        return await self.rows(ReconciliationItemRow)


def said(state: OperationState, source: Any = "fetched", **fields: Any) -> Evidence:
    """Write evidence; amounts may be given as minor units of INR."""
    money = {name: Money(value, "INR") if isinstance(value, int) else value for name, value in fields.items()}
    return Evidence(state=state, source=source, occurred_at=NOW, **money)


def surplus(operations: Iterable[OperationRow]) -> list[OperationRow]:
    """Pick what is real and not owed."""
    return [one for one in operations if one.surplus]


@pytest.fixture
async def till(kit: Corekit) -> Till:
    return Till(kit)


@pytest.fixture(scope="session")
def say() -> Any:
    """Give the short form for evidence."""
    return said


@pytest.fixture
def migrated() -> tuple[type[PaymentsPlugin]]:
    """Start with the schema of payments."""
    return (PaymentsPlugin,)


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    async with make_kit(
        [PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS))],
        database=database,
        tmp_path=tmp_path,
        clock=clock,
        settings=SETTINGS,
    ) as made:
        yield made


@pytest.fixture
async def open_counter(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Any]:
    """Give a way to open a counter with other plugins and settings."""
    async with AsyncExitStack() as stack:

        async def open_one(*plugins: Any, **settings: Any) -> Counter:
            return await stack.enter_async_context(opened(database, tmp_path, clock, *plugins, **settings))

        yield open_one


@pytest.fixture
async def counter(open_counter: Any) -> Counter:
    made: Counter = await open_counter()
    return made
