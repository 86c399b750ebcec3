"""Every revision of every branch: up, down and up again, one at a time, with rows in every table."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from branches import WIDEN, Step, execute, opened, schema, write
from sqlalchemy import Column, Connection, MetaData, Table, insert, select

from corekit import Corekit
from corekit.assembly import discover
from corekit.data import Database, DatabaseSettings
from corekit.data.lint import lint
from corekit.data.migrating import alone, transaction
from corekit.data.schema import VERSION_TABLE, Schema
from corekit.errors import SchemaError

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "migrations.md"
Rows = dict[str, list[dict[str, Any]]]
CHECKED = {  # what a CHECK demands of the columns of one row
    ("payments_payment", "capture_pending"): 0,
    ("payments_payment", "refund_pending"): 0,
}
EMPTY = {"payments_posting"}  # its two accounts are never the same, and there is one

PARENT_AND_CHILD = Step(
    """
    op.create_table(
        "{name}_item",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_{name}_item"),
    )
    op.create_table(
        "{name}_child",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_{name}_child"),
        sa.ForeignKeyConstraint(["item"], ["{name}_item.id"], name="fk_{name}_child_item", ondelete="CASCADE"),
    )
    """,
    """
    op.drop_table("{name}_child")
    op.drop_table("{name}_item")
    """,
)
INDEX = Step(
    """
    with op.get_context().autocommit_block():
        op.create_index("ix_{name}_item_text", "{name}_item", ["text"], postgresql_concurrently=True)
    """,
    'op.drop_index("ix_{name}_item_text")',
    "expand",
)
FILL = Step("""op.execute("UPDATE {name}_item SET title = text || '!' WHERE title IS NULL")""", phase="expand")


async def test_every_revision_goes_up_down_and_up_with_rows(database: DatabaseSettings, tmp_path: Path) -> None:
    kit = Corekit(discover(None), database=database, data_dir=tmp_path)
    async with kit.database:
        assert await walk(kit.database, kit.schema) >= 4


async def test_rows_survive_a_table_that_is_rebuilt_below_them(database: DatabaseSettings, tmp_path: Path) -> None:
    """SQLite drops a column by making the table again: what refers to it must not go with the old one."""
    notes = write(tmp_path / "notes", "notes", PARENT_AND_CHILD, WIDEN, FILL, INDEX)
    async with opened(database, tmp_path) as base:
        assert await walk(base, schema(base, notes=notes)) == 10


async def test_the_how_to_tells_the_truth(database: DatabaseSettings, tmp_path: Path) -> None:
    """Its example goes up and down on chat's real first revision, and keeps the rule."""
    (chat,) = (plugin for plugin in discover(None) if plugin.name == "chat")
    assert chat.migrations
    folder = tmp_path / "chat"
    folder.mkdir()
    (folder / "chat_0001.py").write_text((chat.migrations / "chat_0001.py").read_text("utf-8"), "utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    (folder / "chat_0002.py").write_text(example, "utf-8")
    async with opened(database, tmp_path) as base:
        one = schema(base, chat=folder)
        assert lint(one.revisions) == []
        assert await walk(base, one) == 8
        await one.down("chat_0001")
        if base.dialect == "sqlite":
            (made,) = await execute(base, "SELECT sql FROM sqlite_master WHERE name = 'chat_message'")
            assert "WITHOUT ROWID" in made[0]


async def walk(database: Database, one: Schema) -> int:
    """Go through all revisions; how many they are."""
    for revision in one.revisions.in_order():
        before = await rows(database)
        await one.up(revision)
        kept(before, await rows(database))
        full = await fill(database)
        script = one.revisions.scripts[revision]
        await one.down(str(script.down_revision or f"{one.revisions.branch(revision)}@base"))
        below = await rows(database)
        kept({table: full[table] for table in before}, below)
        await one.up(revision)
        kept(below, await rows(database))
        kept(full, await fill(database), only_tables=True)
    assert not (await one.status()).pending
    return len(one.revisions.scripts)


def kept(before: Rows, after: Rows, *, only_tables: bool = False) -> None:
    """Check that every table is there, with every row, as far as its columns are still there."""
    assert before.keys() <= after.keys()
    for table, expected in before.items() if not only_tables else ():
        assert len(after[table]) == len(expected), table
        for old, new in zip(expected, after[table], strict=True):
            shared = old.keys() & new.keys() - {"title"}  # a column that FILL fills
            assert {key: old[key] for key in shared} == {key: new[key] for key in shared}, table


async def rows(database: Database) -> Rows:
    async with alone(database) as connection:
        return await connection.run_sync(_rows)


async def fill(database: Database) -> Rows:
    """Put a row into every table that has none."""
    async with alone(database) as connection:
        return await connection.run_sync(_fill)


def _tables(connection: Connection) -> list[Table]:
    """Reflect the tables, but for the records of migration itself."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [
        table
        for table in metadata.sorted_tables
        if table.name not in {VERSION_TABLE, "corekit_plugin", "corekit_policy"}
    ]


def _rows(connection: Connection) -> Rows:
    with transaction(connection):
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in _tables(connection)
        }


def _fill(connection: Connection) -> Rows:
    with transaction(connection):
        for table in _tables(connection):
            if table.name not in EMPTY and not connection.execute(select(table)).first():
                values = {column.name: _value(connection, column) for column in table.columns}
                connection.execute(insert(table).values(values))
    return _rows(connection)


def _value(connection: Connection, column: Column[Any]) -> Any:
    """Make something of the column's type; a foreign key points at what is there."""
    for key in column.foreign_keys:
        return connection.execute(select(key.column)).scalars().first()
    if (column.table.name, column.name) in CHECKED:
        return CHECKED[column.table.name, column.name]
    kind = column.type.python_type
    made = {
        str: f"{column.name} of {column.table.name}",
        int: 7,
        bool: True,
        bytes: b"0123456789abcdef",
        float: 7.5,
        datetime: datetime(2030, 1, 1, tzinfo=UTC),
        date: date(2030, 1, 1),
        UUID: UUID(int=7),
        object: {"seven": 7},  # JSON
        dict: {"seven": 7},
    }
    return made[kind]


async def test_a_rebuild_that_leaves_rows_pointing_nowhere_changes_nothing(tmp_path: Path) -> None:
    loses = Step('op.execute("DELETE FROM notes_item")')
    notes = write(tmp_path / "notes", "notes", PARENT_AND_CHILD, loses)
    async with opened(DatabaseSettings(), tmp_path) as base:
        one = schema(base, notes=notes)
        await one.up("notes_0001")
        before = await fill(base)
        with pytest.raises(
            SchemaError, match="would leave rows of notes_child that point nowhere; nothing was changed"
        ):
            await one.up()
        assert await rows(base) == before
        assert (await one.status()).pending == ("core_0006", "notes_0002")
