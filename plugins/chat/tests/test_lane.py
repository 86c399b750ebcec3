"""What the lane writes by hand is what the models read, and it refuses what the services would refuse."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select

from corekit.contracts.messaging import ConversationKind, MessageSent, Role
from corekit.data.outbox import OutboxRow
from corekit.errors import Forbidden
from corekit.values import uuid7
from corekit_chat.errors import IdempotencyConflict, NotMember
from corekit_chat.messages import SEND
from corekit_chat.models import ConversationRow, MemberRow, MessageRow
from corekit_chat.outgoing import TAG, Outgoing, Stored
from corekit_chat.roles import may_send

THEN = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def world(make_world: Any) -> AsyncGenerator[Any]:
    """Start a kit with chat whose outbox nobody empties."""
    async with make_world(worker=False) as made:
        yield made


def outgoing(conversation: UUID, sender: UUID, **fields: Any) -> Outgoing:
    every: dict[str, Any] = {
        "id": uuid7(),
        "outbox": uuid7(),
        "conversation": conversation,
        "tenant": None,
        "sender": sender,
        "client_id": uuid4().hex,
        "body_hash": b"\x00\xff hash",
        "kind": "text",
        "body": "Grüße 👋\n“quoted” 'and' \\",
        "reply_to": None,
        "created_at": THEN,
        "trace": "trace",
        **fields,
    }
    return Outgoing(**every)


async def room(world: Any, *members: tuple[UUID, Role], **fields: Any) -> UUID:
    """Write a conversation through the models."""
    every: dict[str, Any] = {"id": uuid7(), "kind": "group", "epoch": "e", "created_by": uuid7(), **fields}
    counters = {"last_seq": 0, "message_count": 0, "member_count": len(members)}
    async with world.kit.caller().system("chat").begin() as ctx:
        ctx.session.add(ConversationRow(**every, **counters, created_at=THEN, active_at=THEN))
        await ctx.session.flush()
        for usr, role in members:
            zero = dict.fromkeys(("since_seq", "delivered_seq", "read_seq", "read_no"), 0)
            times = {"joined_at": THEN, "created_at": THEN}
            member = MemberRow(
                conversation=every["id"], usr=usr, tenant=every.get("tenant"), role=role, **zero, **times
            )
            ctx.session.add(member)
    found: UUID = every["id"]
    return found


async def test_what_is_written_reads_back_equal(world: Any) -> None:
    sender, tenant = uuid7(), uuid7()
    conversation = await room(world, (sender, "member"), tenant=tenant)
    item = outgoing(conversation, sender, tenant=tenant, reply_to=uuid7())
    stored = await world.kit.lane(SEND).append(item)
    assert stored == Stored(item.id, 1, 1, THEN)
    async with world.kit.caller().system("chat").begin(readonly=True) as ctx:
        row = await ctx.session.get_one(MessageRow, (conversation, 1))
        counted = await ctx.session.get_one(ConversationRow, conversation)
        told = (await ctx.session.scalars(select(OutboxRow).where(OutboxRow.id == item.outbox))).one()
    same = ("id", "tenant", "sender", "client_id", "body_hash", "kind", "body", "reply_to", "created_at")
    assert {name: getattr(row, name) for name in same} == {name: getattr(item, name) for name in same}
    assert (row.no, row.rev, row.edited_at, row.deleted_at) == (1, 1, None, None)
    assert (counted.last_seq, counted.message_count, counted.active_at) == (1, 1, THEN)
    assert (told.kind, told.tag, told.priority, told.key, told.run_after) == ("event", TAG, 0, None, None)
    assert (told.tenant, told.actor, told.trace, told.created_at) == (tenant, sender, "trace", THEN)
    event = MessageSent(conversation=conversation, message=item.id, sender=sender, seq=1)
    assert msgspec.json.decode(told.payload, type=MessageSent) == event


async def test_a_place_that_no_test_reaches_is_told_as_it_is(world: Any) -> None:
    """The event's number is put in by the database."""
    sender = uuid7()
    conversation = await room(world, (sender, "member"))
    async with world.kit.caller().system("chat").begin() as ctx:
        row = await ctx.session.get_one(ConversationRow, conversation)
        row.last_seq = 2**40
    item = outgoing(conversation, sender)
    stored = await world.kit.lane(SEND).append(item)
    assert (stored.seq, stored.no) == (2**40 + 1, 1)
    async with world.kit.caller().system("chat").begin(readonly=True) as ctx:
        told = (await ctx.session.scalars(select(OutboxRow).where(OutboxRow.id == item.outbox))).one()
    assert told.payload == item.event(2**40 + 1)


@pytest.mark.parametrize("kind", get_args(ConversationKind))
async def test_each_role_may_what_it_may(world: Any, kind: ConversationKind) -> None:
    roles: tuple[Role, ...] = get_args(Role)
    people = {role: uuid7() for role in roles}
    conversation = await room(world, *((usr, role) for role, usr in people.items()), kind=kind)
    lane = world.kit.lane(SEND)
    sends = [lane.append(outgoing(conversation, usr)) for usr in people.values()]
    answers = dict(zip(roles, await asyncio.gather(*sends, return_exceptions=True), strict=True))
    assert {role: isinstance(answer, Stored) for role, answer in answers.items()} == {
        role: may_send(kind, role) for role in roles
    }
    assert all(isinstance(answer, Stored | Forbidden) for answer in answers.values())


async def test_a_batch_of_everything_at_once(world: Any) -> None:
    """Repeats in one batch, another message under a used key, strangers, another tenant: each gets its own answer."""
    sender, reader, stranger = uuid7(), uuid7(), uuid7()
    conversation = await room(world, (sender, "member"), (reader, "guest"))
    lane = world.kit.lane(SEND)
    first = outgoing(conversation, sender, client_id="one")
    items = [
        outgoing(conversation, stranger),
        first,
        msgspec.structs.replace(first, id=uuid7(), outbox=uuid7()),
        msgspec.structs.replace(first, id=uuid7(), outbox=uuid7(), body_hash=b"other"),
        outgoing(conversation, reader),
        outgoing(conversation, sender, tenant=uuid7()),
        outgoing(uuid7(), sender),
        outgoing(conversation, sender),
    ]
    answers = await asyncio.gather(*map(lane.append, items), return_exceptions=True)
    refused = [NotMember, IdempotencyConflict, Forbidden, NotMember, NotMember]
    assert [type(answer) for answer in (answers[0], *answers[3:7])] == refused
    assert answers[1:3] == [Stored(first.id, 1, 1, THEN), Stored(first.id, 1, 1, THEN, dup=True)]
    assert answers[7] == Stored(items[7].id, 2, 2, THEN)
