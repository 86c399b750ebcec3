"""Making and finding conversations."""

import asyncio
from typing import Any

import msgspec
import pytest

from corekit.context import NOBODY
from corekit.contracts.messaging import CreateConversation
from corekit.errors import Invalid, TooMany, Unauthenticated
from corekit.values import Page, typeid, uuid7
from corekit_chat.errors import NotMember


async def test_a_group_field_by_field(world: Any) -> None:
    made = await world.create("alice", title="  Lunch \n club", members=["bob", "carol", "alice", "bob"])
    assert msgspec.to_builtins(made) == {
        "id": made.id,
        "kind": "group",
        "title": "Lunch club",
        "epoch": made.epoch,
        "last_seq": 0,
        "message_count": 0,
        "member_count": 3,
        "created_by": world.usr("alice"),
        "created_at": "2030-01-01T12:00:00.000000Z",
        "me": {
            "user": world.usr("alice"),
            "role": "owner",
            "since_seq": 0,
            "joined_at": "2030-01-01T12:00:00.000000Z",
            "delivered_seq": 0,
            "read_seq": 0,
            "read_no": 0,
        },
        "settings": {
            "who_can_post": "member",
            "who_can_invite": "admin",
            "max_members": 10_000,
            "history_for_new_members": "all",
        },
    }
    assert made.id.startswith("cnv_")
    assert len(made.epoch) == 16
    assert await world.get("alice", made.id) == made
    assert (await world.get("bob", made.id)).me.role == "member"
    assert await world.position(made.id) == (made.epoch, 0)
    assert await world.replay(made.id) == []


async def test_a_hundred_members(world: Any) -> None:
    made = await world.create("alice", kind="channel", members=[f"user{number}" for number in range(100)])
    assert (made.member_count, made.settings["who_can_post"], made.title) == (101, "moderator", None)
    with pytest.raises(msgspec.ValidationError):
        await world.create("alice", members=[f"user{number}" for number in range(101)])


async def test_direct_from_either_side(world: Any) -> None:
    async def make(name: str, other: str) -> tuple[Any, bool]:
        request = CreateConversation(kind="direct", with_=world.usr(other))
        async with world.caller(name).begin() as ctx:
            made: tuple[Any, bool] = await world.chat.create(ctx, request)
            return made

    first, new = await make("alice", "bob")
    assert (new, first.kind, first.member_count, first.title, first.me.role) == (True, "direct", 2, None, "owner")
    again, new = await make("bob", "alice")
    assert (new, again.id, again.epoch, again.me.role) == (False, first.id, first.epoch, "owner")
    assert again.me.user == world.usr("bob")
    assert again.created_by == world.usr("alice")

    pairs = [make(*pair) for pair in [("carol", "dave"), ("dave", "carol")] * 4]
    found = await asyncio.gather(*pairs)
    assert len({made.id for made, _ in found}) == 1
    assert sum(new for _, new in found) == 1


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kind": "direct"}, "/with"),
        ({"kind": "direct", "with": "bob", "title": "x"}, "/title"),
        ({"kind": "direct", "with": "bob", "members": ["carol"]}, "/members"),
        ({"kind": "direct", "with": "alice"}, "/with"),
        ({"kind": "direct", "with": "nobody there"}, "/with"),
        ({"kind": "group", "with": "bob"}, "/with"),
        ({"kind": "group", "members": ["bob", "nobody there"]}, "/members/1"),
        ({"kind": "group", "title": " \x00 "}, "/title"),
    ],
)
async def test_what_does_not_fit_is_named(world: Any, fields: dict[str, Any], pointer: str) -> None:
    if "with" in fields:
        fields = fields | {"with": world.usr(fields["with"])}
    with pytest.raises(Invalid) as caught:
        await world.create("alice", **fields)
    assert caught.value.extensions["pointer"] == pointer
    async with world.caller("alice").begin(readonly=True) as ctx:
        assert await world.chat.conversations(ctx) == Page([])


async def test_ids_that_are_none(world: Any) -> None:
    for conv in ("nonsense", "msg_01m812s9e8f6bs1kxq5z6w2k3h", ""):
        with pytest.raises(Invalid) as caught:
            await world.get("alice", conv)
        assert caught.value.extensions["pointer"] == "/conv"


async def test_unknown_and_foreign_conversations_look_alike(world: Any) -> None:
    made = await world.create("alice")
    bodies = []
    for conv in (made.id, typeid("cnv", uuid7())):
        for verb in (
            world.get("bob", conv),
            world.send("bob", conv, "key"),
            world.invite("bob", conv, "carol"),
            world.remove("bob", conv, "alice"),
            world.remove("bob", conv, "bob"),
        ):
            with pytest.raises(NotMember) as caught:
                await verb
            bodies.append(caught.value.body())
    assert bodies == [bodies[0]] * len(bodies)
    assert (bodies[0]["status"], bodies[0]["code"]) == (404, 1001)


async def test_nobody_is_asked_to_sign_in(world: Any) -> None:
    caller = world.kit.caller(NOBODY)
    async with caller.begin() as ctx:
        with pytest.raises(Unauthenticated):
            await world.chat.create(ctx, CreateConversation(kind="group"))
        with pytest.raises(Unauthenticated):
            await world.chat.conversations(ctx)


async def test_the_list_follows_activity(world: Any, clock: Any) -> None:
    made = []
    for number in range(5):
        made.append((await world.create("alice", title=f"number {number}")).id)
        clock.move(1)
    await world.create("bob", title="not alice's")
    await world.send("alice", made[1], "key")

    async def page(**fields: Any) -> Page[Any]:
        async with world.caller("alice").begin(readonly=True) as ctx:
            listed: Page[Any] = await world.chat.conversations(ctx, **fields)
            return listed

    expected = [made[1], made[4], made[3], made[2], made[0]]
    assert [conversation.id for conversation in (await page()).items] == expected
    seen, cursor = [], None
    while True:
        part = await page(limit=2, cursor=cursor)
        seen += [conversation.id for conversation in part.items]
        if (cursor := part.next) is None:
            break
    assert seen == expected
    for limit in (0, 201):
        with pytest.raises(Invalid):
            await page(limit=limit)
    with pytest.raises(Invalid):
        await page(cursor="nonsense")


async def test_creation_is_limited(make_world: Any) -> None:
    async with make_world(limits=True, create_rate=(2, 3600.0, 2)) as world:
        await world.create("alice")
        await world.create("alice", kind="direct", **{"with": world.usr("bob")})
        with pytest.raises(TooMany) as caught:
            await world.create("alice")
        assert caught.value.extensions["retry_after"] == pytest.approx(1800)
        await world.create("alice", kind="direct", **{"with": world.usr("bob")})  # found, not made
