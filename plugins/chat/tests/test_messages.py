"""Sending: what is stored, what is told, what a repeat gets."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from corekit.context import NOBODY, Context
from corekit.contracts.messaging import MessageSent, PostMessage
from corekit.errors import Forbidden, InsideContext, Invalid, TooMany, Unauthenticated
from corekit.events import on
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import settle
from corekit.values import parse_id, typeid, uuid7
from corekit_chat.errors import IdempotencyConflict, MessageTooLarge, NotMember
from corekit_chat.models import MessageRow


class Listener(Plugin[Settings]):
    """Writes down what it heard of."""

    name = "listener"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[MessageSent] = []

    @on(MessageSent)
    async def hear(self, ctx: Context, event: MessageSent) -> None:
        self.heard.append(event)


async def test_a_message_field_by_field(make_world: Any) -> None:
    listener = Listener()
    async with make_world(listener) as world:
        conv = (await world.create("alice", members=["bob"])).id
        first = await world.send("alice", conv, "key-1", "hello")
        reply = await world.send("bob", conv, "key-1", "hi\r\n", reply_to=first.id)
        ts = "2030-01-01T12:00:00.000000Z"
        assert msgspec.to_builtins(first) == {"id": first.id, "seq": 1, "no": 1, "ts": ts, "dup": False}
        assert (reply.seq, reply.no) == (2, 2)
        message = {
            "id": reply.id,
            "conv": conv,
            "seq": 2,
            "no": 2,
            "sender": world.usr("bob"),
            "client_id": "key-1",
            "kind": "text",
            "body": "hi\n",
            "reply_to": first.id,
            "rev": 1,
            "ts": ts,
            "edited_at": None,
            "deleted_at": None,
        }
        head = {"t": "message.created", "v": 1, "seq": 2, "id": reply.id, "ts": ts, "by": world.usr("bob")}
        assert world.gateway.on(f"conv:{conv}")[1] == head | {"message": message}
        entries = [entry for channel, entry in world.gateway.told if channel.startswith("conv:")]
        assert entries == await world.replay(conv)
        async with world.caller("alice").begin(readonly=True) as ctx:
            page = await world.chat.history(ctx, conv)
        assert msgspec.to_builtins(page.items[0]) == message
        await settle(world.kit)
        assert {(event.seq, event.sender) for event in listener.heard} == {
            (1, parse_id("usr", world.usr("alice"))),
            (2, parse_id("usr", world.usr("bob"))),
        }
        assert {event.message for event in listener.heard} == {parse_id("msg", sent.id) for sent in (first, reply)}
        assert {event.conversation for event in listener.heard} == {parse_id("cnv", conv)}


async def test_seq_counts_everything_and_no_counts_messages(world: Any) -> None:
    conv = (await world.create("alice")).id
    await world.send("alice", conv, "a")
    await world.invite("alice", conv, "bob")
    sent = await world.send("bob", conv, "b")
    assert (sent.seq, sent.no) == (3, 2)
    shown = await world.get("alice", conv)
    assert (shown.last_seq, shown.message_count) == (3, 2)
    assert [entry["t"] for entry in map(msgspec.json.decode, [e.data for e in await world.replay(conv)])] == [
        "message.created",
        "member.joined",
        "message.created",
    ]


async def test_a_repeat_gets_the_first_answer(world: Any, clock: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    first = await world.send("bob", conv, "key", "hello")
    clock.move(400 * 86_400)
    again = await world.send("bob", conv, "key", "hello")
    assert again == msgspec.structs.replace(first, dup=True)
    with pytest.raises(IdempotencyConflict) as caught:
        await world.send("bob", conv, "key", "something else")
    assert (caught.value.status, caught.value.code) == (409, 1010)
    with pytest.raises(IdempotencyConflict):
        await world.send("bob", conv, "key", "hello", reply_to=first.id)
    assert (await world.send("alice", conv, "key", "hello")).dup is False  # a key is its sender's
    await world.remove("alice", conv, "bob")
    assert await world.send("bob", conv, "key", "hello") == again
    with pytest.raises(IdempotencyConflict):
        await world.send("bob", conv, "key", "something else")
    with pytest.raises(NotMember):
        await world.send("bob", conv, "new key", "hello")
    assert len(world.gateway.on(f"conv:{conv}")) == 3  # two messages and a removal: a repeat is not told again


async def test_bodies_that_are_refused(world: Any) -> None:
    conv = (await world.create("alice")).id
    with pytest.raises(MessageTooLarge):
        await world.send("alice", conv, "key", "a" * 16_385)
    with pytest.raises(Invalid):
        await world.send("alice", conv, "key", "")
    for reply_to in ("nonsense", typeid("msg", uuid7())):
        with pytest.raises(Invalid) as caught:
            await world.send("alice", conv, "key", reply_to=reply_to)
        assert caught.value.extensions["pointer"] == "/reply_to"
    other = (await world.create("alice")).id
    elsewhere = await world.send("alice", other, "key")
    with pytest.raises(Invalid):
        await world.send("alice", conv, "key", reply_to=elsewhere.id)
    assert (await world.get("alice", conv)).last_seq == 0
    for client_id in ("", "a" * 65, "a b", "ü"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"client_id": client_id, "body": "x"}, PostMessage)


async def test_guests_and_channel_members_only_read(world: Any) -> None:
    conv = (await world.create("alice")).id
    await world.invite("alice", conv, "bob", "guest")
    with pytest.raises(Forbidden):
        await world.send("bob", conv, "key")
    channel = (await world.create("alice", kind="channel", members=["bob"])).id
    await world.invite("alice", channel, "carol", "moderator")
    with pytest.raises(Forbidden):
        await world.send("bob", channel, "key")
    assert (await world.send("carol", channel, "key")).no == 1
    assert (await world.get("alice", channel)).message_count == 1


async def test_send_refuses_to_run_inside_a_context(world: Any) -> None:
    conv = (await world.create("alice")).id
    for readonly in (False, True):
        async with world.caller("alice").begin(readonly=readonly):
            with pytest.raises(InsideContext):
                await world.send("alice", conv, "key")
    assert (await world.get("alice", conv)).last_seq == 0


async def test_nobody_is_asked_to_sign_in(world: Any) -> None:
    conv = (await world.create("alice")).id
    with pytest.raises(Unauthenticated):
        await world.chat.send(world.kit.caller(NOBODY), conv, PostMessage(client_id="key", body="x"))


async def test_a_sender_who_hangs_up_keeps_nothing_from_the_others(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    task = asyncio.create_task(world.send("alice", conv, "key"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        while not world.gateway.on(f"conv:{conv}"):
            await asyncio.sleep(0.01)
    assert (await world.send("alice", conv, "key")).dup is True


async def test_a_failing_item_never_harms_its_neighbours(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    await world.send("alice", conv, "used", "first")

    def one(number: int) -> Any:
        if number % 5 == 0:
            return world.send("carol", conv, f"key-{number}")  # no member
        if number % 5 == 1:
            return world.send("alice", conv, "used", "other")  # conflict
        if number % 5 == 2:
            return world.send("alice", typeid("cnv", uuid7()), f"key-{number}")  # unknown
        return world.send("alice", conv, f"key-{number}")

    answers = await asyncio.gather(*map(one, range(100)), return_exceptions=True)
    kinds = [type(answer) for answer in answers[:3]]
    assert kinds == [NotMember, IdempotencyConflict, NotMember]
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert sorted(sent.seq for sent in good) == list(range(2, 42))
    shown = await world.get("alice", conv)
    assert (shown.last_seq, shown.message_count) == (41, 41)


async def test_a_fault_in_the_lane_rolls_one_item_back(world: Any, monkeypatch: Any) -> None:
    conv = (await world.create("alice")).id
    first = await world.send("alice", conv, "first")
    monkeypatch.setattr("corekit_chat.messages.uuid7", lambda: parse_id("msg", first.id))  # not unique
    with pytest.raises(Exception, match=r"UNIQUE|write|contention"):
        await world.send("alice", conv, "second")
    monkeypatch.undo()
    assert (await world.send("alice", conv, "second")).seq == 2


async def test_rates_of_a_person_and_of_a_room(make_world: Any, clock: Any) -> None:
    async with make_world(limits=True, send_rate=(5, 1.0, 3), conversation_rate=(20, 1.0, 4)) as world:
        conv = (await world.create("alice", members=["bob", "carol"])).id
        for number in range(3):
            await world.send("alice", conv, f"key-{number}")
        with pytest.raises(TooMany) as caught:
            await world.send("alice", conv, "key-3")
        assert caught.value.extensions["retry_after"] == pytest.approx(0.2)
        for number in range(3):
            with pytest.raises(NotMember):
                await world.send("dave", conv, f"key-{number}")  # outsiders do not use the room up
        await world.send("bob", conv, "key-0")
        with pytest.raises(TooMany):
            await world.send("bob", conv, "key-1")
        clock.move(1)
        await world.send("bob", conv, "key-1")


async def test_a_deleted_message_shows_no_body(world: Any, clock: Any) -> None:
    conv = (await world.create("alice")).id
    await world.send("alice", conv, "key", "secret")
    async with world.caller("alice").system("chat").begin() as ctx:
        row = await ctx.session.get(MessageRow, (parse_id("cnv", conv), 1))
        row.deleted_at = clock.now()
    async with world.caller("alice").begin(readonly=True) as ctx:
        message = (await world.chat.history(ctx, conv)).items[0]
    assert (message.body, message.deleted_at) == (None, "2030-01-01T12:00:00.000000Z")
    assert b"secret" not in (await world.replay(conv))[0].data
    assert (await world.send("alice", conv, "key", "secret")).dup is True


async def test_tenants_do_not_see_each_other(world: Any) -> None:
    made = await world.create("alice")
    stranger = replace(world.caller("alice"), tenant=uuid7())
    with pytest.raises(NotMember):
        await world.chat.send(stranger, made.id, PostMessage(client_id="key", body="x"))
    async with stranger.begin(readonly=True) as ctx:
        with pytest.raises(NotMember):
            await world.chat.get(ctx, made.id)
