"""Code that is older or younger than the database, plugins that come, go and are left behind."""

import re
from pathlib import Path

import pytest
from branches import MAKE, WIDEN, Step, execute, opened, production, schema, tables, write

from corekit.data import DatabaseSettings
from corekit.errors import SchemaError
from corekit.testing import make_kit

FAILS = Step('op.execute("SELECT nothing FROM nowhere")')


async def test_what_is_installed_is_written_down_with_each_revision(database: DatabaseSettings, tmp_path: Path) -> None:
    notes = write(tmp_path / "notes", "notes", MAKE, WIDEN)
    query = "SELECT name, version, head FROM corekit_plugin ORDER BY name"
    async with opened(database, tmp_path) as base:
        one = schema(base, notes=notes)
        await one.up()
        assert await execute(base, query) == [("core", "", "core_0006"), ("notes", "2.0.0", "notes_0002")]
        (stored,) = await execute(base, "SELECT revisions, updated_at FROM corekit_plugin WHERE name = 'notes'")
        assert re.sub(r"\W", "", str(stored[0])) == "notes_0001notes_0002expand"
        await one.up()
        assert (await execute(base, "SELECT updated_at FROM corekit_plugin WHERE name = 'notes'"))[0] == stored[1:]
        await one.down("notes_0001")
        assert (await execute(base, query))[1] == ("notes", "2.0.0", "notes_0001")
        await one.down("notes@base")
        assert await execute(base, query) == [("core", "", "core_0006")]


async def test_a_revision_that_fails_leaves_a_true_record(database: DatabaseSettings, tmp_path: Path) -> None:
    """On PostgreSQL the revisions before it stay, each with its record; on SQLite the run is one transaction."""
    notes = write(tmp_path / "notes", "notes", MAKE, FAILS)
    async with opened(database, tmp_path) as base:
        with pytest.raises(Exception, match="nowhere"):
            await schema(base, notes=notes).up()
        if base.dialect == "sqlite":
            assert await tables(base) == set()
            return
        assert (await schema(base, notes=notes).status()).branches["notes"] == ("notes_0001", "notes_0002")
        assert await execute(base, "SELECT head FROM corekit_plugin WHERE name = 'notes'") == [("notes_0001",)]


async def test_the_release_before_runs_on_an_expanded_schema(database: DatabaseSettings, tmp_path: Path) -> None:
    old = write(tmp_path / "old", "notes", MAKE)
    new = write(tmp_path / "new", "notes", MAKE, WIDEN)
    async with opened(database, tmp_path) as base:
        await schema(base, notes=new).up()
        before = schema(base, notes=old)
        status = await before.status()
        assert (status.pending, status.unknown, status.branches["notes"][0]) == ((), ("notes_0002",), "notes_0001")
        assert await before.up() == status  # nothing to do
    async with production(database, tmp_path, notes=old) as kit:
        insert = "INSERT INTO notes_item (id, text) VALUES (1, 'as the release before knows it')"
        await execute(kit.database, insert)
        assert await execute(kit.database, "SELECT id, stars, title FROM notes_item") == [(1, 3, None)]


@pytest.mark.parametrize("phase", ["", "contract"])
async def test_the_release_before_refuses_what_is_not_marked_expand(
    database: DatabaseSettings, tmp_path: Path, phase: str
) -> None:
    old = write(tmp_path / "old", "notes", MAKE)
    new = write(tmp_path / "new", "notes", MAKE, Step(WIDEN.up, WIDEN.down, phase), WIDEN)
    (new / "notes_0003.py").write_text(
        (new / "notes_0003.py").read_text("utf-8").replace("stars", "stars2").replace("title", "title2"), "utf-8"
    )
    async with opened(database, tmp_path) as base:
        await schema(base, notes=new).up()
        with pytest.raises(SchemaError, match=r"not know: notes_0002; it is newer .* install notes 2\.0\.0"):
            await schema(base, notes=old).demand_current()
    kit = production(database, tmp_path, notes=old)
    with pytest.raises(SchemaError, match="notes_0002"):
        await kit.__aenter__()
    assert not kit.started


async def test_code_that_is_older_than_the_database_changes_nothing(database: DatabaseSettings, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", "notes", MAKE), write(tmp_path / "new", "notes", MAKE, WIDEN)
    other = write(tmp_path / "other", "other", MAKE)
    async with opened(database, tmp_path) as base:
        await schema(base, notes=new).up()
        older = schema(base, notes=old, other=other)
        for refused in (older.up(), older.demand_current(), older.down("notes@base")):
            with pytest.raises(SchemaError, match="notes_0002; it is newer than the code"):
                await refused
        assert "other_item" not in await tables(base)


async def test_a_plugin_that_is_gone_is_named_with_both_cures(database: DatabaseSettings, tmp_path: Path) -> None:
    notes, other = write(tmp_path / "notes", "notes", MAKE), write(tmp_path / "other", "other", MAKE)
    async with opened(database, tmp_path) as base:
        await schema(base, notes=notes).up()
        without = schema(base, other=other)
        for refused in (without.up(), without.demand_current(), without.down("core@base"), without.check()):
            with pytest.raises(
                SchemaError,
                match=r"notes_0001; they are of the plugin notes 2\.0\.0, which is not installed: install it again, "
                r"or, to be rid of its tables, install it, run `corekit migrate remove notes` and uninstall it",
            ):
                await refused
        again = schema(base, installed={"notes": notes}, other=other)
        await again.down("notes@base")
        assert not (await without.up()).pending
        assert "notes_item" not in await tables(base)


async def test_a_plugin_that_is_not_enabled_keeps_its_tables(database: DatabaseSettings, tmp_path: Path) -> None:
    notes, other = write(tmp_path / "notes", "notes", MAKE), write(tmp_path / "other", "other", MAKE)
    async with opened(database, tmp_path) as base:
        await schema(base, notes=notes).up()
        without = schema(base, installed={"notes": notes}, other=other)
        status = await without.up()
        assert (status.pending, status.unknown, dict(status.disabled)) == ((), (), {"notes": "notes_0001"})
        await without.demand_current()
        assert {"notes_item", "other_item"} <= await tables(base)
        assert not (await schema(base, notes=notes, other=other).status()).pending


async def test_nobody_loses_the_ground_that_it_stands_on(database: DatabaseSettings, tmp_path: Path) -> None:
    notes = write(tmp_path / "notes", "notes", MAKE)
    polls = write(tmp_path / "polls", "polls", MAKE, depends_on="notes_0001")
    votes = write(tmp_path / "votes", "votes", MAKE, depends_on="polls_0001")
    async with opened(database, tmp_path) as base:
        await schema(base, notes=notes, polls=polls, votes=votes).up()
        one = schema(base, installed={"votes": votes}, notes=notes, polls=polls)
        with pytest.raises(
            SchemaError,
            match=r"votes, polls would lose .* with notes; first run `corekit migrate remove votes`, .* remove polls`",
        ):
            await one.down("notes@base")
        with pytest.raises(SchemaError, match="votes, polls, notes would lose"):
            await one.down("core@base")
        with pytest.raises(SchemaError, match="needs 'notes_0001', which no enabled plugin has"):
            await schema(base, polls=polls).status()
        await one.down("core_0001")
        assert {"notes_item", "polls_item", "votes_item"} < await tables(base)
        assert (await one.status()).pending == ("core_0006",)
        await one.up()
        for name in ("votes", "polls", "notes"):
            await one.down(f"{name}@base")
        assert not {"notes_item", "polls_item", "votes_item"} & await tables(base)


async def test_a_branch_that_forks_is_refused(tmp_path: Path) -> None:
    notes = write(tmp_path / "notes", "notes", MAKE, WIDEN)
    fork = (notes / "notes_0002.py").read_text("utf-8").replace("'notes_0002'", "'notes_0003'")
    (notes / "notes_0003.py").write_text(fork, "utf-8")
    async with opened(DatabaseSettings(), tmp_path) as base:
        with pytest.raises(SchemaError, match="the branch notes forks into notes_0002 and notes_0003"):
            await schema(base, notes=notes).up()


async def test_a_kit_knows_the_versions_of_its_plugins(database: DatabaseSettings, tmp_path: Path) -> None:
    async with make_kit(database=database, tmp_path=tmp_path) as kit:
        assert await execute(kit.database, "SELECT version FROM corekit_plugin WHERE name = 'core'") != [("",)]
