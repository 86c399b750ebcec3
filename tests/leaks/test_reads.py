"""Hot reads: as policed as any, and a connection goes back to its pool fit for the next."""

import asyncio
from typing import Any

import pytest
from leak_tables import NoteRow, TopicRow
from leak_world import ALICE, BOB, HIS, MINE, SECRET, World
from sqlalchemy import bindparam, func, literal_column, select
from sqlalchemy.exc import OperationalError

from corekit.context import NOBODY
from corekit.data import Id, Read
from corekit.data.migrating import alone
from corekit.errors import InsideContext

NOTES, TOPICS = NoteRow.__table__, TopicRow.__table__
TURNS = 12  # more than a pool has connections


@pytest.fixture(autouse=True)
async def rows(world: World) -> None:
    await world.reset()


async def test_each_reads_their_own_on_the_same_connections(world: World) -> None:
    """Goes red when the identity is not set before each statement."""
    note = Read(select(NOTES.c.id, NOTES.c.body).where(NOTES.c.id == bindparam("id", type_=Id())))
    for _ in range(TURNS):
        for actor, id_, sees in (
            (BOB, HIS, [(HIS, SECRET)]),
            (ALICE, HIS, []),
            (ALICE, MINE, [(MINE, "mine")]),
            (NOBODY, MINE, []),
        ):
            assert await world.caller(actor).read(note, id=id_) == sees
    elevated = world.kit.caller().system("leak.look")
    assert await elevated.read(note, id=HIS) == [(HIS, SECRET)]
    assert await world.caller(ALICE).read(note, id=HIS) == []


async def test_many_at_once_see_nothing_of_each_other(world: World) -> None:
    note = Read(select(NOTES.c.body))
    found = await asyncio.gather(*(world.caller(actor).read(note) for actor in (ALICE, BOB, NOBODY) * TURNS))
    assert found == [[("mine",)], [(SECRET,)], []] * TURNS


async def test_a_read_inside_a_context_is_refused(world: World) -> None:
    """It would not see what the context's transaction has written."""
    async with world.caller(ALICE).begin(readonly=True):
        with pytest.raises(InsideContext, match="a read cannot be opened"):
            await world.caller(ALICE).read(Read(select(NOTES.c.body)))


async def test_what_fails_leaves_the_pool_whole(world: World) -> None:
    wrong = Read(select(literal_column("no_such_column")).select_from(TOPICS))
    for _ in range(TURNS):
        with pytest.raises(OperationalError, match="no_such_column"):
            await world.caller(ALICE).read(wrong)
    assert await world.caller(ALICE).read(Read(select(NOTES.c.body))) == [("mine",)]


@pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product")
async def test_who_gives_up_in_the_middle_leaves_the_pool_whole(world: World) -> None:
    slow = Read(select(func.count()).select_from(*(TOPICS.alias() for _ in range(22))))  # 4 million rows
    for _ in range(TURNS // 4):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.caller(BOB).read(slow), 0.05)
    for _ in range(TURNS):
        assert await world.caller(ALICE).read(Read(select(NOTES.c.body))) == [("mine",)]


async def test_a_column_may_change_under_a_prepared_statement(world: World) -> None:
    """PostgreSQL refuses the plan that a connection has kept; goes red without the second try."""
    if world.sqlite:
        pytest.skip("SQLite prepares again by itself")
    names: Any = Read(select(TOPICS.c.name).order_by(TOPICS.c.id))
    assert await world.caller(ALICE).read(names) == [("one",), ("two",)]
    async with alone(world.kit.database) as connection:
        await connection.exec_driver_sql("ALTER TABLE leak_topic ALTER COLUMN name TYPE varchar(80)")
        await connection.commit()
    assert await world.caller(ALICE).read(names) == [("one",), ("two",)]
