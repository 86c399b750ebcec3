"""Writes to what is somebody else's, or of what nobody may make; each returns only what it should not have seen."""

from typing import Any
from uuid import UUID

from leak_tables import NoteRow, RoomRow, SeatRow, TopicRow
from leak_world import ALICE, BOB, ELSEWHERE, HERE, HIS, MINE, THERE, World, note, secrets
from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import make_transient_to_detached

from corekit.context import Context

NOTES: Any = NoteRow.__table__
NEW = {"id": UUID(int=9), "tenant": HERE, "room_id": HIS, "author": ALICE.id, "topic": 1, "body": "new"}


async def orm_bulk_update(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(NoteRow).values(body="mine now"))


async def orm_bulk_delete(ctx: Context, world: World) -> None:
    await ctx.session.execute(delete(NoteRow))
    await ctx.session.execute(delete(SeatRow))


async def own_row_out_of_its_scope(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(NoteRow).where(NoteRow.id == MINE).values(room_id=HIS))


async def own_row_into_another_tenant(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(NoteRow).where(NoteRow.id == MINE).values(tenant=THERE, room_id=ELSEWHERE))


async def own_row_to_another_author(ctx: Context, world: World) -> Any:
    await ctx.session.execute(update(NoteRow).where(NoteRow.id == MINE).values(author=BOB.id))
    return await _really(ctx, NoteRow.id == MINE, NoteRow.author == BOB.id)


async def bulk_update_by_primary_keys(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(NoteRow), [{"id": HIS, "body": "mine now"}, {"id": ELSEWHERE, "body": "too"}])


async def flushed_update_of_a_row_that_was_never_read(ctx: Context, world: World) -> None:
    row = _detached(ctx)
    row.body = "mine now"


async def flushed_delete_of_a_row_that_was_never_read(ctx: Context, world: World) -> None:
    await ctx.session.delete(_detached(ctx))


async def flushed_insert_into_a_foreign_room(ctx: Context, world: World) -> None:
    ctx.session.add(note(HIS))


async def flushed_insert_into_another_tenant(ctx: Context, world: World) -> None:
    """She sits in that room too; the tenant that she acts in is another one."""
    ctx.session.add(note(ELSEWHERE, tenant=THERE))


async def flushed_insert_with_a_forged_author(ctx: Context, world: World) -> Any:
    ctx.session.add(note(author=BOB.id))
    await ctx.session.flush()
    return await _really(ctx, NoteRow.author == BOB.id)


async def orm_bulk_insert(ctx: Context, world: World) -> None:
    await ctx.session.execute(insert(NoteRow), [NEW, NEW | {"id": UUID(int=10)}])


async def core_insert(ctx: Context, world: World) -> None:
    await ctx.session.execute(insert(NOTES).values(**NEW))


async def core_insert_of_many(ctx: Context, world: World) -> None:
    await (await ctx.session.connection()).execute(insert(NOTES), [NEW, NEW | {"id": UUID(int=10)}])


async def core_insert_of_several_rows(ctx: Context, world: World) -> None:
    """One of them is hers."""
    await ctx.session.execute(insert(NOTES).values([NEW | {"room_id": MINE, "id": UUID(int=10)}, NEW]))


async def merge_over_a_foreign_row(ctx: Context, world: World) -> None:
    await ctx.session.merge(note(id=HIS))


async def bulk_save(ctx: Context, world: World) -> None:
    await ctx.session.run_sync(lambda session: session.bulk_save_objects([note(HIS)]))


async def upsert_over_a_foreign_row(ctx: Context, world: World) -> Any:
    """The row that it would insert is hers; the one in its way is not."""
    dialect = sqlite if world.sqlite else postgresql
    stored = dialect.insert(NoteRow).values(**NEW | {"id": HIS, "room_id": MINE})
    statement = stored.on_conflict_do_update(
        index_elements=["id"], set_={"body": NoteRow.body + "!", "room_id": MINE, "author": ALICE.id}
    )
    return secrets((await ctx.session.execute(statement.returning(NoteRow.body))).all())


async def update_and_delete_that_return(ctx: Context, world: World) -> Any:
    changed = (await ctx.session.execute(update(NoteRow).values(topic=7).returning(NoteRow.body))).all()
    removed = (await ctx.session.execute(delete(NoteRow).returning(NoteRow.body))).all()
    return secrets([*changed, *removed])


async def counted_update_and_delete(ctx: Context, world: World) -> Any:
    """Even the number of rows says nothing."""
    foreign: Any = NoteRow.id != MINE
    changed: Any = await ctx.session.execute(update(NoteRow).where(foreign).values(topic=7))
    removed: Any = await ctx.session.execute(delete(NoteRow).where(foreign))
    return changed.rowcount + removed.rowcount


async def raw_update_and_delete(ctx: Context, world: World) -> None:
    await ctx.session.execute(text("UPDATE leak_note SET body = 'mine now'"))
    await (await ctx.session.connection()).exec_driver_sql("DELETE FROM leak_note")


async def insert_from_select(ctx: Context, world: World) -> Any:
    """Copies to where she may read."""
    found = select(bindparam("id", UUID(int=9), type_=NOTES.c.id.type), NOTES.c.tenant, *_mine(), NOTES.c.body)
    columns = ["id", "tenant", "room_id", "author", "topic", "body"]
    await ctx.session.execute(insert(NOTES).from_select(columns, found.where(NOTES.c.id == HIS)))
    return secrets((await ctx.session.execute(select(NOTES.c.body))).all())


async def update_from_a_subquery(ctx: Context, world: World) -> Any:
    found = select(NOTES.alias().c.body).where(NOTES.alias().c.id != MINE).limit(1).scalar_subquery()
    await ctx.session.execute(update(NOTES).where(NOTES.c.id == MINE).values(body=found))
    return secrets((await ctx.session.execute(select(NOTES.c.body))).all())


async def raw_update_from_a_subquery(ctx: Context, world: World) -> Any:
    for source in ("(SELECT max(o.body) FROM leak_note o)", "(SELECT max(title) FROM leak_room)"):
        await ctx.session.execute(text(f"UPDATE leak_note SET body = {source}"))  # noqa: S608
    await ctx.session.execute(text("UPDATE leak_note SET body = o.body FROM leak_note o WHERE o.id <> leak_note.id"))
    return secrets((await ctx.session.execute(text("SELECT body FROM leak_note"))).all())


async def returned_subquery(ctx: Context, world: World) -> Any:
    """What a statement returns may come from anywhere."""
    statement = "UPDATE leak_note SET topic = topic RETURNING (SELECT max(o.body) FROM leak_note o)"
    return secrets((await ctx.session.execute(text(statement))).all())


async def own_seat_with_a_better_role(ctx: Context, world: World) -> Any:
    await ctx.session.execute(update(SeatRow).where(SeatRow.usr == ALICE.id).values(role="owner"))
    return await _really(ctx, SeatRow.role == "owner")


async def own_seat_in_a_foreign_room(ctx: Context, world: World) -> None:
    ctx.session.add(SeatRow(room_id=HIS, usr=ALICE.id, tenant=HERE, role="member"))


async def own_seat_moved_to_a_foreign_room(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(SeatRow).where(SeatRow.room_id == MINE).values(room_id=HIS))


async def room_taken_over(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(RoomRow).values(owner=ALICE.id))


async def room_of_somebody_else(ctx: Context, world: World) -> Any:
    ctx.session.add(RoomRow(id=UUID(int=8), tenant=HERE, owner=BOB.id, title="a gift"))


async def what_is_public(ctx: Context, world: World) -> None:
    await ctx.session.execute(update(TopicRow).values(name="mine now"))


async def more_of_what_is_public(ctx: Context, world: World) -> None:
    ctx.session.add(TopicRow(id=9, name="mine"))


def _detached(ctx: Context) -> NoteRow:
    """Take Bob's note for one that was read, as code does that trusts an id."""
    row = note(HIS, BOB.id, id=HIS)
    make_transient_to_detached(row)
    ctx.session.add(row)
    return row


async def _really(ctx: Context, *where: Any) -> Any:
    return (await ctx.session.execute(select(1).where(*where))).all()


def _mine() -> list[Any]:
    types = NOTES.c.room_id.type
    return [bindparam("room", MINE, type_=types), bindparam("who", ALICE.id, type_=types), bindparam("topic", 1)]
