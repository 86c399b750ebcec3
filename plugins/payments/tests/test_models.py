"""The tables: the migration makes what the models say, and goes away again; whatever tells of a person is marked."""

from sqlalchemy import inspect

from corekit.data import Base
from corekit.data.pii import marked, personal
from corekit.kit import Corekit

TABLES = {
    "payments_payment", "payments_attempt", "payments_operation", "payments_recon_item",
    "payments_ledger_account", "payments_ledger_tx", "payments_posting", "payments_webhook_inbox",
    "payments_fraud_counter", "payments_fraud_decision", "payments_fraud_list", "payments_fraud_rule",
    "payments_recon_run", "payments_ledger_rollup",
}  # fmt: skip
PERSONS = {
    "payments_payment": {"payer", "payee", "description", "details", "return_url"},
    "payments_attempt": {
        "payer", "method_token", "vpa", "instrument", "address", "agent", "device", "next_action",
    },
    "payments_operation": {"initiator", "reason"},
    "payments_recon_item": {"resolved_by", "reason"},
    "payments_ledger_account": {"code", "owner"},
    "payments_fraud_list": {"author", "reason"},
    "payments_fraud_rule": {"author", "reason"},
}  # fmt: skip


async def test_the_migration_makes_the_models(kit: Corekit) -> None:
    assert await kit.schema.check() == []


async def test_down_and_up_again(kit: Corekit) -> None:
    async def tables() -> set[str]:
        async with kit.database.engine().connect() as connection:
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        return {name for name in names if name.startswith("payments_")}

    assert await tables() == TABLES
    await kit.schema.down("payments@base")
    assert await tables() == set()
    await kit.schema.up()
    assert await tables() == TABLES


def test_every_column_about_a_person_is_marked() -> None:
    found: dict[str, set[str]] = {}
    for table, column, _ in marked(Base.registry):
        if table.startswith("payments_"):
            found.setdefault(table, set()).add(column)
    assert found == PERSONS
    assert {one.subject.table.name for one in personal(Base.registry)} >= PERSONS.keys()
