"""What the policies allow works, however it is written: a suite that refused everything would leak nothing either."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from leak_tables import NoteRow, RoomRow, SeatRow, TopicRow
from leak_world import ALICE, BOB, HERE, HIS, MINE, SECRET, THERE, WARDEN, World, note
from sqlalchemy import delete, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased, joinedload, selectinload

from corekit.context import NOBODY, Actor, Context
from corekit.data.outbox import OutboxRow


@pytest.fixture
async def alice(world: World) -> Any:
    async with world.caller(ALICE).begin() as ctx:
        yield ctx


async def test_own_rows_are_read_in_every_way(alice: Context) -> None:
    session, other = alice.session, aliased(NoteRow)
    assert (await session.scalars(select(NoteRow.body))).all() == ["mine"]
    row = await session.get(NoteRow, MINE)
    assert row
    assert (await session.run_sync(lambda _: row.room)).title == "mine"
    for load in (selectinload(RoomRow.notes), joinedload(RoomRow.notes)):
        (room,) = (await session.scalars(select(RoomRow).options(load))).unique().all()
        assert [note.body for note in room.notes] == ["mine"]
        session.expunge_all()
    assert (await session.scalars(select(RoomRow.title).join(RoomRow.notes).join(other, other.id == NoteRow.id))).all()
    assert (await session.scalars(text("SELECT body FROM leak_note"))).all() == ["mine"]


async def test_aggregates_exists_and_subqueries(alice: Context) -> None:
    notes = select(NoteRow.body).where(NoteRow.room_id == RoomRow.id).correlate(RoomRow)
    cte = select(NoteRow.body).cte()
    joined = select(TopicRow.name, NoteRow.body).outerjoin(NoteRow, NoteRow.topic == TopicRow.id).order_by(TopicRow.id)
    for statement, answer in (
        (select(func.count()).select_from(NoteRow), [(1,)]),
        (select(func.max(NoteRow.body), func.min(NoteRow.topic)), [("mine", 2)]),
        (select(RoomRow.title).where(exists().where(NoteRow.room_id == RoomRow.id)), [("mine",)]),
        (select(RoomRow.title, notes.scalar_subquery()), [("mine", "mine")]),
        (select(RoomRow.title, func.count(NoteRow.id)).join(RoomRow.notes).group_by(RoomRow.title), [("mine", 1)]),
        (select(cte.c.body), [("mine",)]),
        (select(exists().where(NoteRow.body == "mine")), [(True,)]),
        (joined, [("one", None), ("two", "mine")]),
    ):
        assert (await alice.session.execute(statement)).all() == answer


async def test_own_rows_are_written_in_every_way(alice: Context) -> None:
    session: Any = alice.session
    new = note()
    session.add(new)
    await session.flush()
    new.body = "changed"
    await session.flush()
    await session.refresh(new)
    assert new.body == "changed"
    await session.delete(new)
    await session.flush()
    values = {"id": UUID(int=10), "tenant": HERE, "room_id": MINE, "author": ALICE.id, "topic": 1, "body": "new"}
    assert (await session.scalars(insert(NoteRow).returning(NoteRow.body), [values])).all() == ["new"]
    await session.execute(insert(NoteRow.__table__), [values | {"id": UUID(int=n)} for n in (11, 12)])
    changed = update(NoteRow).where(NoteRow.topic == 1).values(body=NoteRow.body + "!").returning(NoteRow.body)
    assert (await session.execute(changed)).scalars().all() == ["new!"] * 3
    assert (await session.execute(delete(NoteRow).where(NoteRow.id == UUID(int=11)))).rowcount == 1
    await session.execute(text("UPDATE leak_note SET topic = 2 WHERE topic = 1"))
    await session.execute(update(NoteRow), [{"id": UUID(int=10), "body": "by its key"}])
    await session.merge(note(id=UUID(int=12), body="merged"))
    await session.flush()
    assert set((await session.scalars(select(NoteRow.body))).all()) == {"mine", "by its key", "merged"}


async def test_upsert_of_an_own_row(world: World, alice: Context) -> None:
    dialect: Any = sqlite if world.sqlite else postgresql
    values = {"id": MINE, "tenant": HERE, "room_id": MINE, "author": ALICE.id, "topic": 1, "body": "again"}
    statement = dialect.insert(NoteRow).values(**values)
    update_ = statement.on_conflict_do_update(index_elements=["id"], set_={"body": statement.excluded.body})
    assert (await alice.session.scalars(update_.returning(NoteRow.body))).all() == ["again"]
    await alice.session.execute(statement.on_conflict_do_nothing())


async def test_insert_from_a_select_and_update_from_a_subquery(alice: Context) -> None:
    notes: Any = NoteRow.__table__
    topic = select(func.max(TopicRow.id)).scalar_subquery()
    found = select(SeatRow.usr, notes.c.tenant, notes.c.room_id, notes.c.author, topic, notes.c.body).join(
        SeatRow, SeatRow.room_id == notes.c.room_id
    )
    columns = ["id", "tenant", "room_id", "author", "topic", "body"]
    await alice.session.execute(insert(notes).from_select(columns, found))
    await alice.session.execute(update(notes).where(notes.c.id == ALICE.id).values(topic=topic + 1))
    assert await alice.session.scalar(select(func.max(notes.c.topic))) == 3


async def test_rooms_seats_and_who_is_let_in(world: World) -> None:
    """Bob sees Alice's notes once she gives him a seat, and none of it when he has left."""
    async with world.caller(ALICE).begin() as ctx:
        ctx.session.add(SeatRow(room_id=MINE, usr=BOB.id, tenant=HERE, role="member"))
    async with world.caller(BOB).begin() as ctx:
        assert set((await ctx.session.scalars(select(NoteRow.body))).all()) == {"mine", SECRET}
        await ctx.session.execute(delete(SeatRow).where(SeatRow.room_id == MINE, SeatRow.usr == BOB.id))
    async with world.caller(BOB).begin() as ctx:
        assert (await ctx.session.scalars(select(NoteRow.body))).all() == [SECRET]


async def test_a_room_goes_with_what_is_in_it(alice: Context) -> None:
    """A cascade deletes what refers to the row, as the schema says, whoever may delete it."""
    await alice.session.execute(delete(SeatRow).where(SeatRow.usr == ALICE.id))
    assert (await alice.session.execute(delete(RoomRow))).rowcount == 1


async def test_a_room_takes_the_notes_of_others_with_it(world: World) -> None:
    async with world.caller(ALICE).begin() as ctx:
        ctx.session.add(SeatRow(room_id=MINE, usr=BOB.id, tenant=HERE, role="member"))
    async with world.caller(BOB).begin() as ctx:
        ctx.session.add(note(author=BOB.id, body="Bob was here"))
        await ctx.session.execute(delete(SeatRow).where(SeatRow.room_id == MINE))
    async with world.caller(ALICE).begin() as ctx:
        await ctx.session.execute(delete(SeatRow))
        result: Any = await ctx.session.execute(delete(RoomRow))
        assert result.rowcount == 1
    async with world.kit.caller().system("leak.look").begin() as ctx:
        assert (await ctx.session.scalars(select(NoteRow.body).where(NoteRow.room_id == MINE))).all() == []


async def test_the_same_person_in_another_tenant_has_other_rows(world: World) -> None:
    for tenant, bodies in ((HERE, ["mine"]), (THERE, [SECRET]), (None, [])):
        async with world.caller(ALICE, tenant).begin() as ctx:
            assert (await ctx.session.scalars(select(NoteRow.body))).all() == bodies


async def test_a_permission_opens_what_it_names_in_its_tenant(world: World) -> None:
    async with world.caller(WARDEN).begin() as ctx:
        assert set((await ctx.session.scalars(select(NoteRow.body))).all()) == {"mine", SECRET}
        assert (await ctx.session.scalars(select(RoomRow.id))).all() == []


async def test_a_predicate_tells_who_acts_about_themselves(world: World) -> None:
    if world.sqlite:
        pytest.skip("its predicates are no functions")
    for actor, room, answer in ((BOB, HIS, True), (BOB, MINE, False), (ALICE, HIS, False), (ALICE, MINE, True)):
        async with world.caller(actor).begin() as ctx:
            asked = {"room": room, "who": actor.id}
            assert await ctx.session.scalar(text("SELECT leak_sits(:room, :who)"), asked) is answer


@pytest.mark.parametrize("actor", [ALICE, NOBODY], ids=["alice", "nobody"])
async def test_everybody_leaves_events_in_their_own_name(world: World, actor: Actor) -> None:
    made = {"kind": "event", "tag": "leak.x", "payload": b"", "priority": 0, "created_at": datetime.now(UTC)}
    made |= {"tenant": HERE}
    forged = None if actor is ALICE else ALICE.id
    async with world.caller(actor).begin() as ctx:
        ctx.session.add(OutboxRow(id=UUID(int=5), actor=None if actor is NOBODY else actor.id, **made))
    with pytest.raises(DBAPIError):
        async with world.caller(actor).begin() as ctx:
            ctx.session.add(OutboxRow(id=UUID(int=6), actor=forged, **made))


async def test_what_the_other_one_does_is_skipped_but_not_an_error(world: World) -> None:
    """Rows that may not be changed are none, as where they do not exist; no error gives them away."""
    async with world.caller(ALICE).begin() as ctx:
        for statement in (update(NoteRow).values(topic=5), delete(NoteRow)):
            result: Any = await ctx.session.execute(statement.where(NoteRow.id == HIS))
            assert result.rowcount == 0
