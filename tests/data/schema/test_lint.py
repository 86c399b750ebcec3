"""What a revision may not do while the code of the release before it still runs."""

from pathlib import Path

import pytest
from branches import MAKE, WIDEN, Step, opened, schema, write

from corekit import Corekit
from corekit.assembly import discover
from corekit.data import DatabaseSettings
from corekit.data.lint import lint
from corekit.data.revisions import Revisions
from corekit.errors import SchemaError

REFUSED = {
    "column": ('op.add_column("notes_item", sa.Column("n", sa.Text(), nullable=False))', "adds notes_item.n NOT NULL"),
    "column in a batch": (
        'with op.batch_alter_table("notes_item") as batch: batch.add_column(sa.Column("n", sa.Text(), nullable=False))',
        "adds notes_item.n NOT NULL without a server_default",
    ),
    "indexed column": ('op.add_column("notes_item", sa.Column("n", sa.Text(), index=True))', "n with an index"),
    "rename": ('op.alter_column("notes_item", "text", new_column_name="t")', "renames notes_item.text"),
    "rename in a batch": (
        'with op.batch_alter_table("notes_item") as batch: batch.alter_column("text", new_column_name="t")',
        "renames notes_item.text",
    ),
    "rename of a table": ('op.rename_table("notes_item", "notes_thing")', "renames notes_item"),
    "type": ('op.alter_column("notes_item", "text", type_=sa.Integer())', "changes the type of notes_item.text"),
    "not null": ('op.alter_column("notes_item", "text", nullable=False)', "makes notes_item.text NOT NULL"),
    "drop of a column": ('op.drop_column("notes_item", "text")', "drops notes_item.text: the release before"),
    "drop of a table": ('op.drop_table("notes_item")', "drops notes_item: the release before"),
    "index": ('op.create_index("ix_notes_item_text", "notes_item", ["text"])', "makes ix_notes_item_text on a table"),
    "unique": ('op.create_unique_constraint("uq", "notes_item", ["text"])', "makes uq on a table that is in use"),
    "text: drop": ('op.execute("ALTER TABLE notes_item DROP COLUMN text")', "drops a table or column in SQL text"),
    "text: rename": ('op.execute("ALTER TABLE notes_item RENAME TO x")', "renames in SQL text"),
    "text: type": ('op.execute("alter table notes_item alter text type int")', "changes a type in SQL text"),
    "text: add": ('op.execute("ALTER TABLE notes_item ADD COLUMN n int NOT NULL")', "NOT NULL without a default in"),
    "text: not null": (
        'op.get_bind().execute(sa.text("ALTER TABLE notes_item ALTER text SET NOT NULL"))',
        "makes a column NOT NULL in SQL text",
    ),
    "text: index": ('op.execute("CREATE INDEX i ON notes_item (text)")', "makes an index on a table"),
    "text: lock_timeout": ('op.execute("SET LOCAL lock_timeout = 0")', "sets lock_timeout"),
    "one database": (
        'op.drop_table("notes_item") if op.get_bind().dialect.name == "postgresql" else None',
        "drops notes_item",
    ),
    "rows": ("sa.inspect(op.get_bind())", "cannot be read without a database"),
}
ALLOWED = {
    "nullable": 'op.add_column("notes_item", sa.Column("n", sa.Text()))',
    "default": 'op.add_column("notes_item", sa.Column("n", sa.Text(), nullable=False, server_default=""))',
    "its own table": """
        made = op.create_table("notes_new", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("n", sa.Text()))
        op.create_index("ix_notes_new_n", "notes_new", ["n"])
        op.execute("CREATE INDEX i ON notes_new (n)")
        op.bulk_insert(made, [{"id": 1}])
    """,
    "concurrently": """
        with op.get_context().autocommit_block():
            op.create_index("ix", "notes_item", ["text"], postgresql_concurrently=True)
            op.execute("CREATE INDEX CONCURRENTLY i ON notes_item (text)")
    """,
    "rows": 'op.execute("UPDATE notes_item SET text = 1"); [*op.get_bind().execute(sa.text("SELECT 1"))]',
    "looser": 'op.alter_column("notes_item", "text", nullable=True); op.drop_constraint("ck", "notes_item")',
    "default in text": 'op.execute("ALTER TABLE notes_item ADD COLUMN n int DEFAULT 0 NOT NULL")',
}
CONTRACTS = ("drop of a column", "drop of a table", "not null", "text: drop", "text: not null", "one database")


def linted(tmp_path: Path, step: Step) -> list[str]:
    return lint(Revisions({"notes": write(tmp_path / "notes", "notes", MAKE, step)}))


def test_every_revision_follows_the_rule(tmp_path: Path) -> None:
    kit = Corekit(discover(None), data_dir=tmp_path)
    assert lint(kit.schema.revisions) == []


@pytest.mark.parametrize("phase", ["", "expand"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_the_release_before_is_refused(case: str, phase: str, tmp_path: Path) -> None:
    body, message = REFUSED[case]
    found = linted(tmp_path, Step(body, phase=phase))
    assert len(found) == 1, found
    assert found[0].startswith("notes_0002: ")
    assert message in found[0]


@pytest.mark.parametrize("case", REFUSED)
def test_a_contract_drops_and_does_nothing_else(case: str, tmp_path: Path) -> None:
    found = linted(tmp_path, Step(REFUSED[case][0], phase="contract"))
    assert len(found) == (case not in CONTRACTS), found


@pytest.mark.parametrize("case", ALLOWED)
def test_what_the_release_before_can_live_with(case: str, tmp_path: Path) -> None:
    assert linted(tmp_path, Step(ALLOWED[case])) == []


def test_marks_and_names(tmp_path: Path) -> None:
    assert linted(tmp_path, Step("pass", phase="extend")) == [
        "notes_0002: phase is 'extend'; it is 'expand', 'contract' or not there"
    ]
    folder = write(tmp_path / "odd", "odd", MAKE)
    file = folder / "odd_0001.py"
    file.write_text(file.read_text("utf-8").replace("'odd_0001'", "'a1b2'"), "utf-8")
    assert lint(Revisions({"odd": folder})) == [
        "a1b2: a revision is called after its branch, <plugin>_0001; branch_labels name the plugin"
    ]


async def test_check_reads_the_revisions_too(database: DatabaseSettings, tmp_path: Path) -> None:
    renames = Step('op.alter_column("notes_item", "text", new_column_name="t")')
    notes = write(tmp_path / "notes", "notes", MAKE, renames)
    async with opened(database, tmp_path) as base:
        one = schema(base, notes=notes)
        await one.up()
        renamed, *drift = await one.check()
        assert renamed.startswith("notes_0002: renames notes_item.text")
        assert drift == ["drift: notes_item: only in the database (remove table)"]  # this plugin has no models


async def test_a_revision_without_a_lock_timeout_is_rolled_back(postgres_url: str, tmp_path: Path) -> None:
    waits = Step('op.execute("SET lock_timeout = 0")')
    notes = write(tmp_path / "notes", "notes", MAKE, WIDEN, waits)
    async with opened(DatabaseSettings(url=postgres_url), tmp_path) as base:
        one = schema(base, notes=notes)
        with pytest.raises(SchemaError, match="notes_0003 runs without a lock_timeout"):
            await one.up()
        assert (await one.status()).branches["notes"] == ("notes_0002", "notes_0003")
