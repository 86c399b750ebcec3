"""Members who come and go."""

from typing import Any
from uuid import UUID

import pytest

from corekit.context import Actor, Context
from corekit.contracts.messaging import MemberJoined, MemberLeft
from corekit.contracts.realtime import PublishRequest, SubscribeRequest, can_publish, can_subscribe
from corekit.errors import Conflict, Forbidden, Invalid, TooMany
from corekit.events import on
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import settle
from corekit.values import parse_id
from corekit_chat.errors import NotMember


class Witness(Plugin[Settings]):
    """Writes down who came and went."""

    name = "witness"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, UUID]] = []

    @on(MemberJoined)
    async def joined(self, ctx: Context, event: MemberJoined) -> None:
        self.seen.append(("joined", event.user))

    @on(MemberLeft)
    async def left(self, ctx: Context, event: MemberLeft) -> None:
        self.seen.append(("left", event.user))


async def test_invite_and_kick_take_places_in_the_log(make_world: Any, clock: Any) -> None:
    witness = Witness()
    async with make_world(witness) as world:
        conv = (await world.create("alice", members=["bob"])).id
        clock.move(60)
        async with world.caller("alice").begin() as ctx:
            member, new = await world.chat.invite(ctx, conv, world.usr("carol"))
            assert world.gateway.told == []  # nothing is told before the commit
        assert (new, member.user, member.role, member.since_seq) == (True, world.usr("carol"), "member", 0)
        assert member.joined_at == "2030-01-01T12:01:00.000000Z"
        await world.remove("alice", conv, "carol")
        shown = await world.get("alice", conv)
        assert (shown.last_seq, shown.message_count, shown.member_count) == (2, 0, 2)
        head = {"v": 1, "id": world.usr("carol"), "ts": member.joined_at, "by": world.usr("alice")}
        assert world.gateway.on(f"conv:{conv}") == [
            {"t": "member.joined", "seq": 1, **head, "user": world.usr("carol"), "role": "member"},
            {"t": "member.left", "seq": 2, **head, "user": world.usr("carol"), "role": None},
        ]
        assert [entry for _, entry in world.gateway.told[:2]] == await world.replay(conv)
        carol = Actor("carol").id
        assert world.gateway.cut == [(carol, f"conv:{conv}", 2000), (carol, f"eph:{conv}", 2000)]
        await settle(world.kit)
        assert sorted(witness.seen) == [("joined", carol), ("left", carol)]  # events keep no order


async def test_present_already(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    assert await world.invite("alice", conv, "bob", "admin") is False
    shown = await world.get("bob", conv)
    assert (shown.me.role, shown.last_seq, shown.member_count) == ("member", 0, 2)


async def test_a_role_is_at_most_the_inviters(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    await world.invite("alice", conv, "carol", "admin")
    await world.invite("alice", conv, "erin", "guest")
    for by, name, role in [("carol", "dave", "owner"), ("bob", "dave", None), ("erin", "dave", "guest")]:
        with pytest.raises(Forbidden):
            await world.invite(by, conv, name, role)
    assert await world.invite("carol", conv, "dave", "admin") is True
    assert (await world.get("dave", conv)).me.role == "admin"


async def test_unknown_users_and_full_conversations(make_world: Any) -> None:
    async with make_world(group_members_max=2) as world:
        conv = (await world.create("alice")).id
        with pytest.raises(Invalid) as caught:
            await world.invite("alice", conv, "nobody there")
        assert caught.value.extensions["pointer"] == "/user"
        await world.invite("alice", conv, "bob")
        with pytest.raises(Conflict):
            await world.invite("alice", conv, "carol")
        assert (await world.get("alice", conv)).last_seq == 1


async def test_who_may_remove_whom(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    for name, role in [("carol", "moderator"), ("dave", "admin"), ("erin", "owner")]:
        await world.invite("alice", conv, name, role)
    for by, name in [("bob", "carol"), ("carol", "dave"), ("carol", "carol2"), ("alice", "erin"), ("bob", "user1")]:
        if name == "carol2":
            continue
        with pytest.raises(Forbidden):
            await world.remove(by, conv, name)
    await world.remove("carol", conv, "bob")
    await world.remove("carol", conv, "bob")  # gone already
    await world.remove("carol", conv, "user1")  # never was there
    await world.remove("dave", conv, "carol")
    assert (await world.get("alice", conv)).member_count == 3
    with pytest.raises(NotMember):
        await world.get("bob", conv)


async def test_the_last_owner_hands_over(world: Any, clock: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    for name, role in [("carol", "moderator"), ("dave", "admin"), ("erin", "admin")]:
        clock.move(1)
        await world.invite("alice", conv, name, role)
    await world.remove("alice", conv, "alice")
    assert (await world.get("dave", conv)).me.role == "owner"
    *_, handed, left = world.gateway.on(f"conv:{conv}")
    assert (handed["t"], handed["user"], handed["role"]) == ("member.role", world.usr("dave"), "owner")
    assert (left["t"], left["user"], left["by"]) == ("member.left", world.usr("alice"), world.usr("alice"))
    assert [entry.offset for entry in await world.replay(conv)] == [1, 2, 3, 4, 5]
    for name, heir in [("dave", "erin"), ("erin", "carol"), ("carol", "bob")]:
        await world.remove(name, conv, name)
        assert (await world.get(heir, conv)).me.role == "owner"
    await world.remove("bob", conv, "bob")
    with pytest.raises(NotMember):
        await world.remove("bob", conv, "bob")


async def test_one_of_two_owners_leaves(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    await world.invite("alice", conv, "carol", "owner")
    await world.remove("alice", conv, "alice")
    assert [entry["t"] for entry in world.gateway.on(f"conv:{conv}")] == ["member.joined", "member.left"]
    assert (await world.get("bob", conv)).me.role == "member"


async def test_coming_back(world: Any, clock: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    await world.send("bob", conv, "one")
    await world.remove("bob", conv, "bob")
    await world.send("alice", conv, "two")
    clock.move(5)
    assert await world.invite("alice", conv, "bob", "admin") is True
    shown = await world.get("bob", conv)
    assert (shown.me.role, shown.me.joined_at, shown.me.since_seq) == ("admin", "2030-01-01T12:00:05.000000Z", 0)
    assert shown.member_count == 2


async def test_history_from_joining_on(make_world: Any) -> None:
    async with make_world(history_for_new_members="from_join") as world:
        conv = (await world.create("alice")).id
        first = await world.send("alice", conv, "before")
        await world.invite("alice", conv, "bob")
        await world.send("alice", conv, "after")
        async with world.caller("bob").begin(readonly=True) as ctx:
            page = await world.chat.history(ctx, conv)
            log = world.gateway.namespaces["conv"][1]
            entries = await log.since(ctx, parse_id("cnv", conv), 0, 100)
        assert [message.client_id for message in page.items] == ["after"]
        assert [entry.offset for entry in entries] == [2, 3]
        assert page.items[0].seq == 3
        with pytest.raises(Invalid):
            await world.send("bob", conv, "reply", reply_to=first.id)


async def test_direct_conversations_keep_their_two(world: Any) -> None:
    conv = (await world.create("alice", kind="direct", **{"with": world.usr("bob")})).id
    for verb in (
        world.invite("alice", conv, "carol"),
        world.remove("alice", conv, "alice"),
        world.remove("alice", conv, "bob"),
    ):
        with pytest.raises(Conflict):
            await verb
    assert (await world.get("bob", conv)).last_seq == 0


async def test_a_rollback_tells_nobody(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    with pytest.raises(RuntimeError):
        async with world.caller("alice").begin() as ctx:
            await world.chat.invite(ctx, conv, world.usr("carol"))
            await world.chat.remove(ctx, conv, world.usr("bob"))
            raise RuntimeError
    assert (world.gateway.told, world.gateway.cut) == ([], [])
    shown = await world.get("bob", conv)
    assert (shown.last_seq, shown.member_count) == (0, 2)


async def test_only_members_subscribe_and_publish(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    await world.remove("alice", conv, "bob")
    id_ = parse_id("cnv", conv)

    async def allowed(name: str, namespace: str, conversation: UUID) -> tuple[bool, bool]:
        channel = f"{namespace}:{conv}"
        async with world.caller(name).begin(readonly=True) as ctx:
            hooks = world.kit.hooks
            heard = await hooks.first(can_subscribe, SubscribeRequest(channel, namespace, conversation), ctx)
            spoke = await hooks.first(can_publish, PublishRequest(channel, namespace, conversation), ctx)
        return heard is not None, spoke is True

    for namespace in ("conv", "eph"):
        assert await allowed("alice", namespace, id_) == (True, True)
        assert await allowed("bob", namespace, id_) == (False, False)
        assert await allowed("alice", namespace, Actor("alice").id) == (False, False)
    assert await allowed("alice", "call", id_) == (False, False)
    with pytest.raises(NotMember):
        async with world.caller("bob").begin(readonly=True) as ctx:
            await world.gateway.namespaces["conv"][1].since(ctx, id_, 0, 10)


async def test_only_who_sees_all_may_be_given_it_from_a_cache(make_world: Any) -> None:
    async with make_world(history_for_new_members="from_join") as world:
        conv = (await world.create("alice")).id
        await world.invite("alice", conv, "bob")
        await world.send("alice", conv, "key")
        await world.invite("alice", conv, "carol")
        replay = {}
        for name in ("alice", "carol"):
            async with world.caller(name).begin(readonly=True) as ctx:
                request = SubscribeRequest(f"conv:{conv}", "conv", parse_id("cnv", conv))
                replay[name] = (await world.kit.hooks.first(can_subscribe, request, ctx)).replay
        assert replay == {"alice": True, "carol": False}


async def test_invites_are_limited(make_world: Any) -> None:
    async with make_world(limits=True, invite_rate=(1, 3600.0, 1)) as world:
        conv = (await world.create("alice")).id
        await world.invite("alice", conv, "bob")
        await world.invite("alice", conv, "bob")  # present: nothing is charged
        with pytest.raises(TooMany):
            await world.invite("alice", conv, "carol")
        assert (await world.get("alice", conv)).last_seq == 1
