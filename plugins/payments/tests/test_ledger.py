"""The ledger: what is posted for whatever happens to money, that it balances, and that nobody changes it."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from corekit.context import Actor
from corekit_payments.ledger import INVARIANTS, LedgerAccountRow, balances, broken

SUE = Actor("sue")


async def paid(till: Any, say: Any, **fields: Any) -> Any:
    payment = await till.payment()
    operation = await till.begin(payment)
    await till.apply(operation, say("succeeded", amount=1000, captured=1000, provider_ref="r1", **fields))
    return payment


async def test_a_capture_is_owed_by_the_provider_and_to_the_payee(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000}
    await till.books(payment)


async def test_a_refund_is_promised_then_kept(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    attempt = (await till.books(payment)).operations[0].attempt_id
    refund = await till.begin(payment, "refund", 400, attempt=attempt)
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -600, "refunds": -400}
    for _ in range(2):
        await till.apply(refund, say("succeeded", amount=400, provider_ref="r2"))
    assert await till.sums() == {"clearing:sandbox": 600, "payable": -600, "refunds": 0}
    await till.books(payment)


async def test_a_refund_that_fails_is_the_payees_again_and_late_it_is_paid_all_the_same(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    attempt = (await till.books(payment)).operations[0].attempt_id
    refund = await till.begin(payment, "refund", 400, attempt=attempt)
    await till.apply(refund, say("failed", error_class="declined"))
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000, "refunds": 0}
    await till.books(payment)
    assert (await till.apply(refund, say("succeeded", provider_ref="r2"))).outcome == "late"
    assert await till.sums() == {"clearing:sandbox": 600, "payable": -600, "refunds": 0}
    await till.books(payment)


async def test_a_surplus_belongs_to_nobody_yet(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    other = await till.begin(payment, state="failed")
    await till.apply(other, say("succeeded", amount=1000, captured=1000, provider_ref="r2"))
    assert await till.sums() == {"clearing:sandbox": 2000, "payable": -1000, "suspense": -1000}
    assert (await till.books(payment)).payment.captured == 1000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {posting} SET amount = amount + 1",
        "DELETE FROM {posting}",
        "DELETE FROM {tx}",
        "UPDATE {tx} SET kind = 'fee'",
        "DELETE FROM {account}",
        "UPDATE {account} SET code = 'other'",
    ],
)
async def test_nobody_changes_what_was_posted(till: Any, say: Any, statement: str) -> None:
    """Red when a trigger of the revision is left out; it is asked of the purpose that may write."""
    await paid(till, say)
    tables = {"posting": "payments_posting", "tx": "payments_ledger_tx", "account": "payments_ledger_account"}
    with pytest.raises(DBAPIError, match="append-only"):
        async with till.caller().begin() as ctx:
            await ctx.session.execute(text(statement.format(**tables)))
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000}


# What a bug past `apply` would do to a payment of 1000 that was captured and of which 400 were given back.
BUGS = {
    "captured": "UPDATE payments_payment SET captured = 999",
    "refunded": "UPDATE payments_payment SET refunded = 399",
    "refund_pending": "UPDATE payments_payment SET refund_pending = 1",
    "disputed": "UPDATE payments_payment SET disputed = 1",
    "operations_without_posting": """
        INSERT INTO payments_operation (id, tenant, payment_id, attempt_id, kind, seq, amount, final, state, surplus,
            superseded, reason, provider, provider_key, reference, sends, unsent, checks, lock_token, seen, created_at,
            updated_at)
        SELECT attempt_id, tenant, payment_id, attempt_id, kind, 99, amount, final, state, surplus,
            superseded, reason, provider, 'k', 'r', sends, unsent, checks, lock_token, seen, created_at, updated_at
        FROM payments_operation WHERE kind = 'capture'
    """,
    "postings_without_operation": "UPDATE payments_operation SET state = 'pending' WHERE kind = 'capture'",
    "transactions_without_pair": """
        INSERT INTO payments_ledger_tx (id, tenant, source, kind, operation_id, created_at)
        SELECT id, tenant, 'stl:1', 'settlement', NULL, created_at FROM payments_payment
    """,
    "settled_twice": """
        INSERT INTO payments_ledger_tx (id, tenant, source, kind, operation_id, created_at)
        SELECT id, tenant, 'stl:1', 'settlement', id, created_at FROM payments_operation WHERE kind = 'capture';
        INSERT INTO payments_ledger_tx (id, tenant, source, kind, operation_id, created_at)
        SELECT payment_id, tenant, 'stl:2', 'settlement', id, created_at FROM payments_operation WHERE kind = 'capture'
    """,
    "rollups": """
        INSERT INTO payments_ledger_rollup (account, until, tenant, debit, credit, count)
        SELECT id, created_at, tenant, 5, 0, 1 FROM payments_ledger_account WHERE code = 'refunds'
    """,
    "currencies": """
        INSERT INTO payments_posting (tx, n, tenant, debit, credit, amount, currency)
        SELECT tx, 2, tenant, debit, credit, 1, 'USD' FROM payments_posting WHERE amount = 400 AND n = 1
    """,
    "surplus": """
        UPDATE payments_operation SET amount = 300 WHERE kind = 'capture';
        UPDATE payments_operation SET "of" = (SELECT id FROM payments_operation WHERE kind = 'capture')
        WHERE kind = 'refund'
    """,
}


def test_each_invariant_has_its_bug() -> None:
    assert BUGS.keys() == {*INVARIANTS, "rollups"}


@pytest.mark.parametrize("name", BUGS)
async def test_each_invariant_finds_what_a_bug_would_do(till: Any, say: Any, name: str) -> None:
    payment = await paid(till, say)
    attempt = (await till.books(payment)).operations[0].attempt_id
    refund = await till.begin(payment, "refund", 400, attempt=attempt)
    await till.apply(refund, say("succeeded", amount=400, provider_ref="r2"))
    await till.books(payment)
    async with till.caller().begin() as ctx:
        for statement in BUGS[name].split(";"):
            await ctx.session.execute(text(statement))
        found = await broken(ctx)
    assert name in found


async def test_who_reads_it(till: Any, say: Any) -> None:
    await paid(till, say)
    async with till.kit.caller(SUE).begin(readonly=True) as ctx:  # she may read payments, not the ledger
        assert await balances(ctx) == []
    assert len(await till.rows(LedgerAccountRow)) == 2
