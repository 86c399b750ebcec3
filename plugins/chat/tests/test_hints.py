"""Hints on members' own channels."""

import asyncio
from typing import Any


async def wait_for(found: Any) -> None:
    async with asyncio.timeout(5):
        while not found():
            await asyncio.sleep(0.01)


async def test_members_hear_that_something_happened(make_world: Any) -> None:
    async with make_world(hint_interval=0.05) as world:
        conv = (await world.create("alice", members=["bob", "carol"])).id
        await world.remove("alice", conv, "carol")
        for number in range(20):
            await world.send("alice", conv, f"key-{number}")
        bob = f"user:{world.usr('bob')}"
        await wait_for(lambda: any(hint["last_seq"] == 21 for hint in world.gateway.on(bob)))
        assert world.gateway.on(bob)[-1] == {
            "t": "hint",
            "v": 1,
            "conv": conv,
            "last_seq": 21,
            "message_count": 20,
        }
        assert len(world.gateway.on(bob)) < 20  # coalesced
        assert world.gateway.on(f"user:{world.usr('alice')}")[-1]["last_seq"] == 21
        assert not [hint for hint in world.gateway.on(f"user:{world.usr('carol')}") if hint["last_seq"] == 21]


async def test_a_new_conversation_is_hinted(make_world: Any) -> None:
    async with make_world(hint_interval=0.01) as world:
        conv = (await world.create("alice", kind="direct", **{"with": world.usr("bob")})).id
        await wait_for(lambda: world.gateway.on(f"user:{world.usr('bob')}"))
        assert world.gateway.on(f"user:{world.usr('bob')}")[0]["conv"] == conv


async def test_large_conversations_are_hinted_seldom(make_world: Any) -> None:
    async with make_world(hint_interval=0.01, hint_interval_large=0.5, large_members=1) as world:
        conv = (await world.create("alice", members=["bob"])).id
        small = (await world.create("alice")).id
        bob, alice = f"user:{world.usr('bob')}", f"user:{world.usr('alice')}"
        await wait_for(lambda: world.gateway.on(bob))
        await world.send("alice", conv, "key")
        await world.send("alice", small, "key")
        await wait_for(lambda: [hint for hint in world.gateway.on(alice) if hint["conv"] == small][1:])
        assert len(world.gateway.on(bob)) == 1
        await wait_for(lambda: len(world.gateway.on(bob)) == 2)
        assert world.gateway.on(bob)[1]["last_seq"] == 1


async def test_a_failing_gateway_does_not_end_the_hints(make_world: Any, monkeypatch: Any) -> None:
    async with make_world(hint_interval=0.01) as world:
        real, calls = world.gateway.publish, []

        async def broken(*args: Any, **fields: Any) -> None:
            calls.append(args)
            raise OSError

        monkeypatch.setattr(world.gateway, "publish", broken)
        await world.create("alice")
        await wait_for(lambda: calls)
        monkeypatch.setattr(world.gateway, "publish", real)
        await world.create("alice")
        await wait_for(lambda: world.gateway.on(f"user:{world.usr('alice')}"))
