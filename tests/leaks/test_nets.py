"""Each net is needed: with any one of them gone, something leaks, or what should work does not."""

import re
from pathlib import Path
from typing import Any

import probes_raw
import probes_read
import probes_write
import pytest
from leak_tables import NoteRow
from leak_world import ALICE, MINE, REFUSED, World, note, opened, probes
from sqlalchemy import delete, select, text, update

from corekit.data import DatabaseSettings, policy, policy_sqlite, pools
from corekit.data.migrating import alone
from corekit.errors import SchemaError

pytestmark = [
    pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product"),
    pytest.mark.filterwarnings("ignore:DELETE statement on table 'leak_note' expected to delete"),
]
PROBES = probes(probes_write, probes_raw, probes_read)
FUNCTION = "FUNCTION leak_sits(room uuid, actor uuid) RETURNS boolean"


async def leaks(world: World) -> bool:
    """Run probes until one finds something."""
    for probe in PROBES:
        if await world.leak(probe):
            return True
    return False


async def serves(world: World) -> bool:
    """Tell whether Alice can read, write, change and delete a row of hers."""
    await world.reset()
    try:
        async with world.caller(ALICE).begin() as ctx:
            ctx.session.add(note())
            await ctx.session.flush()
            assert len((await ctx.session.scalars(select(NoteRow.body))).all()) == 2
            changed: Any = await ctx.session.execute(update(NoteRow).values(topic=3))
            removed: Any = await ctx.session.execute(delete(NoteRow).where(NoteRow.id == MINE))
            return (changed.rowcount, removed.rowcount) == (2, 1)
    except (*REFUSED, AssertionError):
        return False


async def test_with_all_nets_everything_that_should_work_does(world: World) -> None:
    assert await serves(world)
    await world.kit.schema.demand_policed(dev=False)


@pytest.mark.parametrize("gone", ["_insert BEFORE", "_update BEFORE", "_delete BEFORE"])
async def test_sqlite_without_a_trigger(gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_sqlite, "statements", lambda *given: [s for s in _made(*given) if gone not in s])
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await leaks(world)


async def test_sqlite_without_the_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authorizer lets nobody read a table itself: so nothing leaks, and nothing can be read."""
    monkeypatch.setattr(policy_sqlite, "statements", lambda *given: _made(*given)[1:])
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert not await serves(world)


async def test_sqlite_with_views_that_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(*given: Any) -> list[str]:
        table = given[0].table.name
        return [f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{table}", *_made(*given)[1:]]  # noqa: S608

    monkeypatch.setattr(policy_sqlite, "statements", bare)
    monkeypatch.setattr(policy_sqlite.Policed, "_authorize", lambda *_: 0)
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await leaks(world)


async def test_sqlite_with_triggers_that_come_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the change a rule about one's own seat would read the new role."""
    late = ("BEFORE UPDATE", "AFTER UPDATE")
    monkeypatch.setattr(policy_sqlite, "statements", lambda *given: [s.replace(*late) for s in _made(*given)])
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await world.leak(probes_write.own_seat_with_a_better_role)


async def test_sqlite_without_the_authorizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_sqlite.Policed, "_authorize", lambda *_: 0)
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await world.leak(probes_raw.another_schema)
        assert await world.leak(probes_raw.nets_taken_down)


async def test_sqlite_where_anybodys_common_table_expression_counts_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorize = policy_sqlite.Policed._authorize

    def trusting(self: Any, code: int, first: Any, second: Any, schema: Any, within: Any) -> int:
        return authorize(self, code, first, second, schema, self._mark if within else None)

    monkeypatch.setattr(policy_sqlite.Policed, "_authorize", trusting)
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await world.leak(probes_raw.another_schema)


async def test_sqlite_where_a_statement_that_writes_may_name_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_sqlite, "_MAIN", re.compile(r"(?!)"))
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await world.leak(probes_raw.another_schema)


async def test_sqlite_where_a_replaced_row_fires_no_trigger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = pools.pragmas
    monkeypatch.setattr(pools, "pragmas", lambda *a, **k: [s for s in said(*a, **k) if "recursive_triggers" not in s])
    async with opened(DatabaseSettings(), tmp_path) as world:
        assert await world.leak(probes_raw.insert_or_replace)


async def test_policies_that_forget_the_tenant(
    database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_TENANT", "no column")
    async with opened(database, tmp_path) as world:
        assert await world.leak(probes_read.orm_column)
        assert await world.leak(probes_write.flushed_insert_into_another_tenant)


@pytest.mark.parametrize("action", ["select", "insert", "update", "delete"])
async def test_postgresql_without_a_policy(postgres_world: World, action: str) -> None:
    """What is not allowed is refused, so nothing leaks; nobody can work, and the start says so."""
    await broken(postgres_world, f"DROP POLICY corekit_{action} ON leak_note")
    assert not await serves(postgres_world)
    await refuses(postgres_world, "leak_note is not policed")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE POLICY more ON leak_note TO corekit_app USING (true)",
        "ALTER POLICY corekit_select ON leak_note USING (true)",
        "ALTER POLICY corekit_insert ON leak_note WITH CHECK (true)",
        "ALTER POLICY corekit_update ON leak_note USING (true) WITH CHECK (true)",
        "ALTER POLICY corekit_delete ON leak_note USING (true)",
        "ALTER TABLE leak_note DISABLE ROW LEVEL SECURITY",
        f"SET ROLE corekit_definer; CREATE OR REPLACE {FUNCTION} STABLE SECURITY DEFINER AS 'SELECT true' LANGUAGE sql",
    ],
)
async def test_postgresql_with_a_policy_that_somebody_opened(postgres_world: World, statement: str) -> None:
    await broken(postgres_world, statement)
    assert await leaks(postgres_world)
    await refuses(postgres_world, "is not policed as declared")


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE leak_note NO FORCE ROW LEVEL SECURITY", "DROP POLICY corekit_service ON leak_note"]
)
async def test_postgresql_with_a_policy_that_others_miss(postgres_world: World, statement: str) -> None:
    await broken(postgres_world, statement)
    await refuses(postgres_world, "leak_note is not policed as declared")


async def broken(world: World, statements: str) -> None:
    """Do it as the owner."""
    async with alone(world.kit.database) as connection:
        for statement in statements.split("; "):
            await connection.execute(text(statement))
        await connection.commit()


async def refuses(world: World, said: str) -> None:
    """A start says what is wrong, and migrating mends it."""
    with pytest.raises(SchemaError, match=said):
        await world.kit.schema.demand_policed(dev=False)
    await world.kit.schema.up()
    await world.kit.schema.demand_policed(dev=False)
    assert await serves(world)


_made = policy_sqlite.statements
