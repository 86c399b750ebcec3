"""Reads of what is somebody else's, by every way to a row; each returns only what it should not have seen."""

from typing import Any

from leak_tables import NoteRow, RoomRow, SeatRow, TopicRow
from leak_world import ELSEWHERE, HIS, MINE, SECRET, World, secrets
from sqlalchemy import exists, func, select, text, union_all
from sqlalchemy.orm import aliased, joinedload, make_transient_to_detached, selectinload

from corekit.context import Context

NOTES: Any = NoteRow.__table__
THEIRS = NoteRow.id.in_((HIS, ELSEWHERE))


async def _all(ctx: Context, statement: Any) -> list[Any]:
    rows = (await ctx.session.execute(statement)).all()
    return [[value.shown if isinstance(value, NoteRow | RoomRow) else value for value in row] for row in rows]


async def orm_entity(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(NoteRow)))


async def orm_column(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(NoteRow.body)))


async def every_table(ctx: Context, world: World) -> Any:
    """Seats have no text: a room that is not Alice's gives them away."""
    seats = [room for (room,) in await _all(ctx, select(SeatRow.room_id)) if room != MINE]
    return seats + secrets(await _all(ctx, select(RoomRow)))


async def orm_alias(ctx: Context, world: World) -> Any:
    other = aliased(NoteRow)
    return secrets(await _all(ctx, select(other).where(other.id != MINE)))


async def orm_join(ctx: Context, world: World) -> Any:
    other = aliased(NoteRow)
    return secrets(await _all(ctx, select(other.body, RoomRow.title).join(other.room)))


async def join_without_condition(ctx: Context, world: World) -> Any:
    other = aliased(NoteRow)
    return secrets(await _all(ctx, select(NoteRow.id, other.body).join(other, other.id != NoteRow.id)))


async def outer_join_from_what_is_public(ctx: Context, world: World) -> Any:
    return secrets(
        await _all(ctx, select(TopicRow.name, NoteRow.body).outerjoin(NoteRow, NoteRow.topic == TopicRow.id))
    )


async def get_fresh(ctx: Context, world: World) -> Any:
    return [found.body for id_ in (HIS, ELSEWHERE) if (found := await ctx.session.get(NoteRow, id_))]


async def get_again_and_refresh(ctx: Context, world: World) -> Any:
    """A row that a session of the one who may read held goes nowhere: the next session has a map of its own."""
    async with world.kit.caller().system("leak.look").begin(readonly=True) as other:
        row = await other.session.get(NoteRow, HIS)
        assert row
        assert row.body == SECRET
    found = await ctx.session.get(NoteRow, HIS)
    merged = await ctx.session.merge(NoteRow(id=HIS), load=True) if found else None
    return [found, merged] if found else []


async def relationship_of_a_foreign_parent(ctx: Context, world: World) -> Any:
    room = RoomRow(id=HIS, owner=HIS, title="")
    make_transient_to_detached(room)
    ctx.session.add(room)
    return [found.body for found in await ctx.session.run_sync(lambda _: list(room.notes))]


async def eager_loads(ctx: Context, world: World) -> Any:
    found = []
    for load in (selectinload(RoomRow.notes), joinedload(RoomRow.notes)):
        rooms = (await ctx.session.scalars(select(RoomRow).options(load))).unique().all()
        found += [note.body for room in rooms for note in room.notes if note.id != MINE]
        ctx.session.expunge_all()
    return found


async def core_through_the_session(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(NOTES)))


async def core_on_the_connection(ctx: Context, world: World) -> Any:
    return secrets((await (await ctx.session.connection()).execute(select(NOTES.c.body))).all())


async def text_through_the_session(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, text("SELECT * FROM leak_note")))


async def driver_sql(ctx: Context, world: World) -> Any:
    return secrets((await (await ctx.session.connection()).exec_driver_sql("SELECT body FROM leak_note")).all())


async def from_statement(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(NoteRow).from_statement(text("SELECT * FROM leak_note"))))


async def subquery_of_a_core_table(ctx: Context, world: World) -> Any:
    inner = select(NOTES.c.body).subquery()
    return secrets(await _all(ctx, select(inner.c.body)))


async def orm_subquery_cte_union(ctx: Context, world: World) -> Any:
    sub, cte = select(NoteRow.body).subquery(), select(NoteRow.body).cte()
    both = union_all(select(NoteRow.body), select(RoomRow.title))
    scalar = select(select(NoteRow.body).where(THEIRS).limit(1).scalar_subquery())
    return secrets([await _all(ctx, one) for one in (select(sub.c.body), select(cte.c.body), both, scalar)])


async def count_of_all(ctx: Context, world: World) -> Any:
    counts = [
        await ctx.session.scalar(select(func.count()).select_from(NoteRow).where(NoteRow.id != MINE)),
        await ctx.session.scalar(text("SELECT count(*) FROM leak_note WHERE id <> :id"), {"id": _bound(world, MINE)}),
        max(await ctx.session.scalar(text("SELECT count(*) FROM leak_note")) - 1, 0),
        max(await ctx.session.scalar(text("SELECT count(*) FROM leak_note a, leak_room b")) - 1, 0),
    ]
    return [count for count in counts if count]


async def bare_column_beside_an_orm_filter(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(NOTES.c.body).where(NoteRow.topic == 2)))


async def aliased_where_with_bare_select(ctx: Context, world: World) -> Any:
    other = aliased(NoteRow)
    return secrets(await _all(ctx, select(NOTES.c.body).where(other.topic == 2)))


async def exists_oracle(ctx: Context, world: World) -> Any:
    asked = exists().where(NOTES.c.body.like(f"{SECRET[:3]}%"))
    found = [await ctx.session.scalar(select(asked)), await ctx.session.scalar(select(TopicRow.id).where(asked))]
    return [one for one in found if one]


async def aggregates(ctx: Context, world: World) -> Any:
    return secrets(await _all(ctx, select(func.max(NOTES.c.body), func.min(NoteRow.body), func.max(NoteRow.body))))


async def order_and_window(ctx: Context, world: World) -> Any:
    window = select(func.first_value(NoteRow.body).over(order_by=NoteRow.id.desc()), func.lag(NoteRow.body).over())
    return secrets(await _all(ctx, window))


async def raw_driver_cursor(ctx: Context, world: World) -> Any:
    raw: Any = await (await ctx.session.connection()).get_raw_connection()
    if world.sqlite:
        cursor = await raw.driver_connection.execute("SELECT body FROM leak_note")
        return secrets(await cursor.fetchall())
    return secrets([*map(tuple, await raw.driver_connection.fetch("SELECT body FROM leak_note"))])


async def orm_statement_then_its_text(ctx: Context, world: World) -> Any:
    statement = select(NoteRow.body)
    mine = await _all(ctx, statement)
    return secrets([*mine, *await _all(ctx, text(str(statement)))])


async def elevated_statement_then_the_same_text(ctx: Context, world: World) -> Any:
    statement = "SELECT leak_note.body FROM leak_note WHERE 'elevated' = 'elevated'"
    async with world.kit.caller().system("leak.look").begin(readonly=True) as other:
        assert secrets((await other.session.execute(text(statement))).all())
    return secrets(await _all(ctx, text(statement)))


def _bound(world: World, id_: Any) -> Any:
    return id_.bytes if world.sqlite else id_
