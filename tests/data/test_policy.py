"""Policies as they are declared, and as they come into PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, MetaData, and_, exists, select, text, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from corekit.data import Base, Database, DatabaseSettings, Policy, Predicate, actor, has_permission
from corekit.data.emission import emit
from corekit.data.installed import PolicyRow
from corekit.data.migrating import alone
from corekit.data.policy import ACTIONS, Identity, policies, policy_of, render
from corekit.data.policy_postgresql import opening
from corekit.data.roles import roles_of
from corekit.data.schema import Schema
from corekit.errors import PluginError
from corekit.testing import PostgresServer

Made = tuple[Any, Any]
BOTH = pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])


def models() -> Made:
    """Make two tables that no other test knows: a thing of a tenant, and who holds it."""

    class Own(DeclarativeBase):
        metadata = MetaData(naming_convention=Base.metadata.naming_convention)
        type_annotation_map = Base.type_annotation_map

    class ThingRow(Own):
        __tablename__ = "test_thing"

        id: Mapped[UUID] = mapped_column(primary_key=True)
        tenant: Mapped[UUID | None]
        owner: Mapped[UUID] = mapped_column("owned_by")

    class HolderRow(Own):
        __tablename__ = "test_holder"

        thing: Mapped[UUID] = mapped_column(primary_key=True)
        usr: Mapped[UUID] = mapped_column(primary_key=True)

    return ThingRow, HolderRow


def predicate(name: str, holder: Any) -> Predicate:
    """Ask whether somebody holds a thing."""
    one = aliased(holder)
    return Predicate(
        name, lambda thing, actor: exists().where(one.thing == thing, one.usr == actor), thing=UUID, actor=UUID
    )


def test_a_table_without_a_policy_is_named() -> None:
    thing, holder = models()
    Policy(thing, read=lambda t: t.owner == actor())
    with pytest.raises(PluginError, match="table test_holder has no Policy"):
        policies(thing.metadata, ["test_"])
    Policy.closed(holder, "Nobody asks.")
    assert [policy.table.name for policy in policies(thing.metadata, ["test_"])] == ["test_holder", "test_thing"]
    assert policies(thing.metadata, ["other_"]) == []


def test_a_table_has_one_policy() -> None:
    thing, _ = models()
    first = Policy.closed(thing, "Nobody asks.")
    with pytest.raises(PluginError, match="test_thing has a policy already"):
        Policy(thing, read=lambda t: t.owner == actor())
    assert policy_of(thing.__table__) is first


@pytest.mark.parametrize("make", [Policy.public, Policy.closed])
def test_who_opens_or_closes_a_table_says_why(make: Callable[[Any, str], Policy]) -> None:
    thing, _ = models()
    with pytest.raises(PluginError, match="policy of ThingRow: give the reason"):
        make(thing, " ")
    policy = make(thing, "Because.")
    assert policy.reason == "Because."
    assert [action for action in ACTIONS if policy.allows(action)] == (["read"] if make == Policy.public else [])


@pytest.mark.parametrize("alone_", [True, False], ids=["bare", "in exists"])
def test_a_rule_that_names_its_class_is_refused(alone_: bool) -> None:
    """In EXISTS its columns would be any row's: whoever holds anything could read everything."""
    thing, holder = models()
    rule = thing.owner == actor() if alone_ else exists().where(holder.thing == thing.id, holder.usr == actor())
    policy = Policy(thing, read=lambda t: rule, write=lambda t: t.owner == actor())
    with pytest.raises(PluginError, match="policy of test_thing: use the rule's argument for the row"):
        policy.expression("read", "test_thing")
    with pytest.raises(PluginError, match="use the rule's argument"):
        policy.predicates()
    assert policy.expression("delete", "OLD") is not None


@BOTH
def test_an_exists_is_about_the_row(dialect: Any) -> None:
    """The row stands in no FROM of the inner query, whatever SQLAlchemy correlates by itself."""
    thing, holder = models()
    other = aliased(thing)
    policy = Policy(thing, read=lambda t: exists().where(holder.thing == t.id, other.owner == t.owner))
    said = policy.expression("read", "test_thing")
    assert said is not None
    assert "FROM test_holder, test_thing AS test_thing_1" in render(said, dialect)
    assert "= test_thing.id" in render(said, dialect)
    assert "= test_thing.owned_by" in render(said, dialect)  # the column's name, not the attribute's


@BOTH
def test_every_rule_demands_the_tenant(dialect: Any) -> None:
    thing, holder = models()
    policy = Policy(thing, read=lambda t: true(), write=lambda t: has_permission("test:thing:write"))
    for action in ACTIONS:
        said = policy.expression(action, "NEW")
        assert said is not None
        assert render(said, dialect).startswith(
            "NEW.tenant IS corekit_tenant()"
            if dialect.name == "sqlite"
            else "CASE WHEN NEW.tenant IS NULL THEN ((SELECT"
        )
    public = Policy.public(holder, "It has no tenant.").expression("read", "test_holder")
    assert public is not None
    assert "tenant" not in render(public, dialect)


def test_rules_that_are_not_given_let_nobody() -> None:
    thing, _ = models()
    policy = Policy(thing, update=lambda t: t.owner == actor())
    assert [action for action in ACTIONS if policy.allows(action)] == ["update", "check"]
    assert policy.expression("read", "test_thing") is None


def test_a_predicate_answers_about_who_acts() -> None:
    with pytest.raises(PluginError, match="predicate test_all needs an argument `actor`"):
        Predicate("test_all", lambda thing: true(), thing=UUID)
    with pytest.raises(PluginError, match="a predicate takes UUID, int, str, bool and datetime, not list"):
        Predicate("test_all", lambda things, actor: true(), things=list, actor=UUID)
    one = Predicate("test_all", lambda at, actor: true(), at=datetime, actor=UUID)
    with pytest.raises(PluginError, match="predicate test_all takes at, actor"):
        one(actor())


def test_what_opens_a_transaction_holds_no_sql_of_others() -> None:
    assert opening(Identity(UUID(int=1), None, frozenset({"a:b"})), readonly=True).startswith("BEGIN READ ONLY; SET")
    with pytest.raises(PluginError, match="a name has only a to z"):
        opening(Identity(permissions=frozenset({"x'; DROP TABLE users; --"})), readonly=False)


class Site:
    """A database into which policies are emitted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, step: Callable[[Connection], Any]) -> Any:
        """Run something as the owner, and commit."""
        async with alone(self._database) as connection:
            result = await connection.run_sync(step)
            await connection.commit()
            return result

    async def emit(self, metadata: MetaData) -> dict[str, tuple[str, datetime]]:
        """Emit the policies of a metadata; return what was noted about each, and when."""

        def step(connection: Connection) -> dict[str, tuple[str, datetime]]:
            metadata.create_all(connection)
            roles = roles_of(connection, self._database.settings)
            emit(connection, policies(metadata, ["test_"]), roles, ["test_"])
            noted = connection.execute(select(PolicyRow)).all()
            return {row.name: (row.hash, row.updated_at) for row in noted if "test_" in row.name}

        return await self.run(step)

    async def functions(self) -> list[str]:
        """Name the predicate functions."""
        asked = text("SELECT proname FROM pg_proc WHERE proname LIKE 'test\\_%' ORDER BY proname")
        return list(await self.run(lambda connection: connection.execute(asked).scalars().all()))


@pytest.fixture
async def site(postgres_url: str, postgres: PostgresServer, tmp_path: Path) -> Any:
    settings: DatabaseSettings = await postgres.settings(postgres_url)
    async with Database(settings, tmp_path) as database:
        await Schema(database, {}).up()
        yield Site(database)


def declared(rule: str = "holds", *, name: str = "test_holds") -> MetaData:
    """Declare the same tables with one rule or another."""
    thing, holder = models()
    holds = predicate(name, holder)
    rules: dict[str, Callable[[Any], Any]] = {
        "holds": lambda t: holds(t.id, actor()),
        "holds what is theirs": lambda t: and_(holds(t.id, actor()), t.owner == actor()),
        "owns": lambda t: t.owner == actor(),
    }
    Policy(thing, read=rules[rule])
    Policy(holder, read=lambda h: h.usr == actor())
    metadata: MetaData = thing.metadata
    return metadata


async def test_emitting_again_changes_nothing(site: Site) -> None:
    first = await site.emit(declared())
    assert first.keys() == {"test_thing", "test_holder", "function test_holds"}
    assert await site.emit(declared()) == first


async def test_a_rule_that_changed_is_emitted_again_and_alone(site: Site) -> None:
    first = await site.emit(declared())
    second = await site.emit(declared("holds what is theirs"))
    assert {name for name in first if first[name] != second[name]} == {"test_thing"}


async def test_a_function_that_changed_takes_its_policies_with_it(site: Site) -> None:
    await site.emit(declared())
    second = await site.emit(declared(name="test_has"))
    assert second.keys() == {"test_thing", "test_holder", "function test_has"}
    assert await site.functions() == ["test_has"]


async def test_a_function_that_nobody_asks_any_more_goes(site: Site) -> None:
    await site.emit(declared())
    assert await site.functions() == ["test_holds"]
    third = await site.emit(declared("owns"))
    assert third.keys() == {"test_thing", "test_holder"}
    assert await site.functions() == []
    assert await site.emit(declared("owns")) == third
