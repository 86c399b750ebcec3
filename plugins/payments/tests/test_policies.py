"""Who sees payments, and that nobody writes them but for the purpose, however the statement is written."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import class_mapper

from corekit.context import NOBODY, Actor
from corekit.values import uuid7
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow, ReconciliationItemRow

TABLES: tuple[Any, ...] = (PaymentRow, AttemptRow, OperationRow, ReconciliationItemRow)
COLUMNS = [column.key for column in class_mapper(PaymentRow).column_attrs]
SEES = {
    "alice": (1, 1, 1, 0),  # pays
    "shop": (1, 0, 1, 0),  # is paid: how somebody pays is not theirs to know
    "sue": (1, 1, 1, 0),  # payments:payment:read
    "carl": (0, 0, 0, 1),  # payments:recon:resolve
    "mallory": (0, 0, 0, 0),
}


@pytest.fixture
async def payment(till: Any, say: Any) -> UUID:
    """Make a payment of Alice's to the shop, with an item about it."""
    payment: UUID = await till.payment()
    await till.apply(await till.begin(payment), say("succeeded", amount=1))
    return payment


async def seen(till: Any, who: Any, tenant: UUID | None = None) -> tuple[int, ...]:
    """Count what somebody sees of each table, in two ways."""
    async with replace(till.kit.caller(who), tenant=tenant).begin(readonly=True) as ctx:
        by_orm = [await ctx.session.scalar(select(func.count()).select_from(row)) for row in TABLES]
        named = [f"SELECT count(*) FROM {row.__tablename__}" for row in TABLES]  # noqa: S608  # our own names
        assert by_orm == [await ctx.session.scalar(text(query)) for query in named]
    return tuple(count or 0 for count in by_orm)


async def test_the_payer_the_payee_and_who_may_read_see_it_and_nobody_else(till: Any, payment: UUID) -> None:
    assert {name: await seen(till, Actor(name)) for name in SEES} == SEES
    assert await seen(till, NOBODY) == (0, 0, 0, 0)


async def test_another_tenant_sees_nothing(till: Any) -> None:
    mine, other = UUID(int=1), UUID(int=2)
    await till.begin(await till.payment(tenant=mine), tenant=mine)
    for name in ("alice", "shop", "sue"):
        assert await seen(till, Actor(name), mine) == SEES[name]
        assert await seen(till, Actor(name), other) == (0, 0, 0, 0)
        assert await seen(till, Actor(name)) == (0, 0, 0, 0)


async def test_nobody_writes_but_for_the_purpose(till: Any, payment: UUID) -> None:
    """Without a policy, or with one that lets people write, a statement here changes or adds a row."""
    whole = {name: getattr(row, name) for row in await till.rows(PaymentRow) for name in COLUMNS}
    statements: list[Any] = [insert(PaymentRow).values(**whole | {"id": uuid7()})]
    for row in TABLES:
        statements += [update(row).values(created_at=row.created_at), delete(row)]
        statements += [text(f"DELETE FROM {row.__tablename__}")]  # noqa: S608  # our own names
    statements += [update(PaymentRow).values(captured=0), text("UPDATE payments_payment SET status = 'succeeded'")]
    for statement, name in [(one, name) for one in statements for name in SEES]:
        try:
            async with till.kit.caller(Actor(name)).begin() as ctx:
                result: Any = await ctx.session.execute(statement)
                assert result.rowcount == 0, (name, str(statement))
        except DBAPIError:
            continue
    assert [len(await till.rows(row)) for row in TABLES] == [1, 1, 1, 1]
    assert (await till.books(payment)).payment.status == "processing"


async def test_the_database_refuses_totals_that_do_not_fit_into_each_other(till: Any, payment: UUID) -> None:
    """The second net, below the row lock: it holds where every guard above is gone."""
    wrong: list[dict[str, int]] = [
        {"captured": 1, "authorized": 0},
        {"authorized": 1001},
        {"authorized": 1000, "captured": 600, "capture_pending": 401},
        {"authorized": 1000, "captured": 600, "refunded": 600, "refund_pending": 1},
        {"refund_pending": -1},
        {"capture_pending": -1},
        {"disputed": -1},
        {"amount": 0},
    ]
    for values in wrong:
        with pytest.raises(IntegrityError, match="ck_payments_payment"):
            async with till.caller().begin() as ctx:
                await ctx.session.execute(update(PaymentRow).values(**values))


async def test_one_operation_of_a_payment_is_in_hand(till: Any) -> None:
    payment = await till.payment()
    await till.begin(payment, state="unknown")
    attempt = (await till.books(payment)).operations[0].attempt_id
    with pytest.raises(IntegrityError, match="payments_operation"):
        await till.begin(payment, state="created", attempt=attempt)
    await till.begin(await till.payment(), state="created")
    await till.begin(payment, state="pending", attempt=attempt)


async def test_a_provider_has_one_object_for_one_operation(till: Any, say: Any) -> None:
    one, other = await till.begin(await till.payment()), await till.begin(await till.payment())
    await till.apply(one, say("pending", provider_ref="r1"))
    with pytest.raises(IntegrityError):
        async with till.caller().begin() as ctx:
            await ctx.session.execute(update(OperationRow).where(OperationRow.id == other).values(provider_ref="r1"))
