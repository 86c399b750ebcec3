"""What a person cannot do in chat's tables, however the statement is written: the database refuses or finds no row."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from corekit.context import Actor
from corekit.contracts.messaging import PostMessage
from corekit.values import parse_id, uuid7
from corekit_chat.errors import NotMember
from corekit_chat.models import ConversationRow, EventRow, MemberRow, MessageRow

BOB, CAROL = Actor("bob").id, Actor("carol").id
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def conv(world: Any) -> UUID:
    """Make a room of alice's with bob, in which one message was sent."""
    made = (await world.create("alice", members=["bob"])).id
    await world.send("alice", made, "key-00000001")
    return parse_id("cnv", made)


async def rows(world: Any) -> list[Any]:
    """Read everything with service rights."""
    async with AsyncSession(world.kit.database.engine("service")) as session:
        tables: list[Any] = [row.__table__ for row in (ConversationRow, MemberRow, MessageRow, EventRow)]
        return [tuple(row) for table in tables for row in await session.execute(select(table).order_by(*table.c))]


async def attempt(world: Any, name: str, statement: Any) -> int:
    """Run a statement as somebody; how many rows it changed, -1 where it is refused."""
    try:
        async with world.caller(name).begin() as ctx:
            result: Any = await ctx.session.execute(statement)
            return int(result.rowcount)
    except DBAPIError:
        return -1


def seat(conv: UUID, usr: UUID, **fields: Any) -> dict[str, Any]:
    """Write a whole row of a member."""
    zero = dict.fromkeys(("since_seq", "delivered_seq", "read_seq", "read_no"), 0)
    return {
        "conversation": conv, "usr": usr, "role": "member", "joined_at": NOW, "created_at": NOW, **zero, **fields
    }  # fmt: skip


def mine(conv: UUID, usr: UUID = BOB) -> Any:
    return update(MemberRow).where(MemberRow.conversation == conv, MemberRow.usr == usr)


async def test_a_member_does_not_raise_the_own_role_or_see_further_back(world: Any, conv: UUID) -> None:
    async with AsyncSession(world.kit.database.engine("service")) as session, session.begin():
        await session.execute(mine(conv).values(since_seq=1))
    before = await rows(world)
    for values in ({"role": "owner"}, {"role": "moderator"}, {"since_seq": 0}, {"usr": CAROL}):
        assert await attempt(world, "bob", mine(conv).values(**values)) == -1, values
    assert await rows(world) == before
    assert await attempt(world, "bob", mine(conv).values(read_seq=1)) == 1
    async with world.caller("bob").begin(readonly=True) as ctx:
        assert (await ctx.session.scalars(select(MessageRow.body))).all() == []


async def test_a_moderator_removes_but_does_not_bring_back(world: Any, conv: UUID) -> None:
    moderator, carol = seat(conv, Actor("dave").id, role="moderator"), seat(conv, CAROL)
    async with AsyncSession(world.kit.database.engine("service")) as session, session.begin():
        await session.execute(insert(MemberRow), [moderator, carol])
    assert await attempt(world, "dave", mine(conv, CAROL).values(left_at=NOW, left_seq=1)) == 1
    before = await rows(world)
    assert await attempt(world, "dave", mine(conv, CAROL).values(left_at=None, left_seq=None)) == -1
    assert await rows(world) == before
    assert await attempt(world, "alice", mine(conv, CAROL).values(left_at=None, left_seq=None)) == 1


async def test_a_member_does_not_touch_others_or_what_was_said(world: Any, conv: UUID) -> None:
    before = await rows(world)
    told = {"conversation": conv, "seq": 9, "kind": "x", "data": {}, "created_at": NOW}
    for statement in (
        mine(conv, Actor("alice").id).values(left_at=NOW, left_seq=1),
        delete(MemberRow),
        delete(ConversationRow),
        update(MessageRow).values(body="forged"),
        delete(MessageRow),
        update(EventRow).values(kind="x"),
        insert(EventRow).values(**told, actor=CAROL),
        insert(MemberRow).values(**seat(conv, CAROL)),
    ):
        assert await attempt(world, "bob", statement) in {0, -1}, str(statement)
    assert await rows(world) == before
    for statement in (
        insert(EventRow).values(**told, actor=Actor("alice").id),
        insert(MemberRow).values(**seat(conv, CAROL)),
    ):
        assert await attempt(world, "alice", statement) == 1, str(statement)


async def test_who_is_not_in_it_neither_sees_it_nor_gets_in(world: Any, conv: UUID) -> None:
    before = await rows(world)
    told = {"conversation": conv, "seq": 9, "kind": "x", "data": {}, "created_at": NOW}
    for statement in (
        insert(MemberRow).values(**seat(conv, CAROL)),
        insert(EventRow).values(**told, actor=CAROL),
        update(ConversationRow).values(created_by=CAROL),
        mine(conv).values(usr=CAROL),
    ):
        assert await attempt(world, "carol", statement) in {0, -1}, str(statement)
    assert await rows(world) == before
    async with world.caller("carol").begin(readonly=True) as ctx:
        for row in (ConversationRow, MemberRow, MessageRow, EventRow):
            assert (await ctx.session.scalars(select(row))).all() == []


async def test_who_has_left_keeps_what_they_saw_and_does_not_come_back(world: Any, conv: UUID) -> None:
    wire = (await world.create("alice", members=["carol"])).id
    conv = parse_id("cnv", wire)
    await world.send("alice", wire, "key-00000002", "before")
    await world.remove("carol", wire, "carol")
    await world.send("alice", wire, "key-00000003", "after")
    before = await rows(world)
    back = {"left_at": None, "left_seq": None}
    for statement in (
        mine(conv, CAROL).values(**back),
        mine(conv, CAROL).values(left_seq=99),
        insert(MemberRow).values(**seat(conv, CAROL)),
        delete(MemberRow),
    ):
        assert await attempt(world, "carol", statement) in {0, -1}, str(statement)
    assert await rows(world) == before
    async with world.caller("carol").begin(readonly=True) as ctx:
        assert (await ctx.session.scalars(select(MessageRow.body))).all() == ["before"]
        assert (await ctx.session.scalars(select(ConversationRow))).all() == []


async def test_the_lane_takes_the_sender_from_the_caller_and_asks_what_the_policy_asks(world: Any, conv: UUID) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `sender`"):
        msgspec.convert({"client_id": "key-00000004", "body": "x", "sender": world.usr("alice")}, PostMessage)
    wire, before = (await world.get("bob", str(conv))).id, await rows(world)
    with pytest.raises(NotMember):
        await world.send("carol", wire, "key-00000004", "as if I were in it")
    elsewhere = replace(world.caller("bob"), tenant=uuid7())
    with pytest.raises(NotMember):
        await world.chat.send(elsewhere, wire, PostMessage(client_id="key-00000005", body="from another tenant"))
    assert await rows(world) == before
    await world.send("bob", wire, "key-00000006", "mine")
    async with world.caller("alice").begin(readonly=True) as ctx:
        assert await ctx.session.scalar(select(MessageRow.sender).where(MessageRow.body == "mine")) == BOB
