"""Nothing of somebody else's is seen or changed, whichever way a statement is written."""

import probes_raw
import probes_read
import probes_write
import pytest
from leak_world import ALICE, BOB, World, probes
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from corekit.context import NOBODY, Actor

pytestmark = [
    pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product"),
    pytest.mark.filterwarnings("ignore:DELETE statement on table 'leak_note' expected to delete"),
]

PROBES = probes(probes_raw, probes_read, probes_write)

NOT_ON_SQLITE = {"another_role", "predicate_about_somebody_else", "copied_and_declared"}
NOT_ON_POSTGRESQL = {"insert_or_replace", "catalogues", "predicate_about_somebody_else"}  # the last by its nature


@pytest.mark.parametrize("actor", [ALICE, NOBODY], ids=["alice", "nobody"])
async def test_nothing_leaks(world: World, actor: Actor) -> None:
    leaks = [leak for probe in PROBES if (leak := await world.leak(probe, actor))]
    assert leaks == []


async def test_nothing_leaks_from_a_readonly_context(world: World) -> None:
    leaks = [leak for probe in probes(probes_raw, probes_read) if (leak := await world.leak(probe, readonly=True))]
    assert leaks == []


async def test_every_probe_would_find_something(world: World) -> None:
    """With service rights it does; one that is wrong in itself would prove nothing."""
    idle = {probe.__name__ for probe in PROBES if not await world.works(probe)}
    assert idle == (NOT_ON_SQLITE if world.sqlite else NOT_ON_POSTGRESQL)


async def test_a_connection_is_handed_on_with_nothing_of_who_had_it(world: World) -> None:
    """SQLite's writer is one connection, and a pool gives the last one back first."""
    for actor, sees in (
        (BOB, "the secret of another"),
        (ALICE, "mine"),
        (NOBODY, None),
        (BOB, "the secret of another"),
    ):
        async with world.caller(actor).begin() as ctx:
            assert (await ctx.session.scalars(text("SELECT body FROM leak_note"))).all() == ([sees] if sees else [])


async def test_a_session_that_outlives_its_context_reads_nothing(world: World) -> None:
    async with world.caller(ALICE).begin() as ctx:
        session = ctx.session
        assert await session.scalar(text("SELECT body FROM leak_note")) == "mine"
    with pytest.raises(InvalidRequestError):
        await session.scalar(text("SELECT body FROM leak_note"))


async def test_a_policed_connection_outside_of_a_context_belongs_to_nobody(world: World) -> None:
    async with world.kit.database.engine("app").connect() as connection:
        try:
            seen = (await connection.execute(text("SELECT body FROM leak_note"))).all()
        except DBAPIError:  # SQLite says that there is no actor
            seen = []
        assert seen == []
