"""What must hold when many do it at once: no gap, no double, no deadlock, and the log replays to the state."""

import asyncio
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from corekit.context import Context
from corekit.contracts.messaging import Draft, before_send
from corekit.errors import Problem
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.values import parse_id
from corekit_chat.errors import NotMember
from corekit_chat.models import ConversationRow, MemberRow, MessageRow


async def test_few_keys_many_senders(world: Any) -> None:
    conv = (await world.create("alice")).id

    async def sender(number: int) -> list[Any]:
        return [await world.send("alice", conv, f"key-{(number + turn * 7) % 25}") for turn in range(25)]

    answers = [sent for part in await asyncio.gather(*map(sender, range(16))) for sent in part]
    assert len(answers) == 400
    assert sum(not sent.dup for sent in answers) == 25
    assert len({sent.id for sent in answers}) == len({sent.seq for sent in answers}) == 25
    async with world.caller("alice").begin(readonly=True) as ctx:
        rows = await ctx.session.scalar(select(func.count()).select_from(MessageRow))
        row = await ctx.session.get(ConversationRow, parse_id("cnv", conv))
    assert (rows, row.last_seq, row.message_count) == (25, 25, 25)
    assert [entry["seq"] for entry in world.gateway.on(f"conv:{conv}")] == list(range(1, 26))


class Reader(Plugin[Settings]):
    """Reads in every hook call."""

    name = "reader"

    @implements(before_send)
    async def look(self, draft: Draft, ctx: Context) -> Draft | None:
        await ctx.session.get(MemberRow, (draft.conversation, draft.sender))
        await asyncio.sleep(0)
        await ctx.session.scalar(select(func.count()).select_from(MessageRow))
        return None


async def test_two_hundred_sends_whose_hooks_read(make_world: Any) -> None:
    async with make_world(Reader()) as world:
        conv = (await world.create("alice", members=["bob"])).id
        async with asyncio.timeout(60):
            sends = [world.send("alice", conv, f"key-{number}") for number in range(200)]
            writes = [world.invite("alice", conv, f"user{number}") for number in range(20)]
            answers = await asyncio.gather(*sends, *writes)
        assert sorted(sent.no for sent in answers[:200]) == list(range(1, 201))
        assert [entry.offset for entry in await world.replay(conv)] == list(range(1, 221))


@pytest.mark.parametrize("seed", range(4))
async def test_random_verbs_replay_to_the_state(world: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same run for the same seed
    names = ["alice", "bob", "carol", "dave", "erin"]
    conv = (await world.create("alice", members=["bob"])).id
    outcomes: Counter[str] = Counter()

    async def actor(number: int) -> None:
        for turn in range(25):
            name, other = chance.choice(names), chance.choice(names)
            verb = chance.choice(["send", "send", "send", "invite", "invite", "remove", "leave"])
            try:
                if verb == "send":
                    await world.send(name, conv, f"{number}-{chance.randrange(turn + 1)}")
                elif verb == "invite":
                    await world.invite(name, conv, other, chance.choice([None, "admin", "moderator", "owner"]))
                elif (verb == "remove" and other != "alice") or (
                    verb == "leave" and name != "alice"
                ):  # one stays, or nothing would happen any more
                    await world.remove(name, conv, other if verb == "remove" else name)
                outcomes[verb] += 1
            except Problem as problem:
                outcomes[problem.slug] += 1

    await asyncio.gather(*map(actor, range(8)))
    epoch, last = await world.position(conv)
    assert outcomes["send"] > 5
    log = await world.replay(conv)
    assert [entry.offset for entry in log] == list(range(1, last + 1))
    live = sorted((entry for channel, entry in world.gateway.told if channel == f"conv:{conv}"), key=lambda e: e.offset)
    assert live == log

    entries = [msgspec.json.decode(entry.data) for entry in log]
    present = {world.usr("alice"): "owner", world.usr("bob"): "member"}
    messages = 0
    for entry in entries:
        if entry["t"] == "message.created":
            messages += 1
            assert entry["message"]["no"] == messages
            assert entry["by"] in present
        elif entry["t"] == "member.left":
            del present[entry["user"]]
        else:
            present[entry["user"]] = entry["role"]
    async with world.caller("alice").begin(readonly=True) as ctx:
        row = await ctx.session.get(ConversationRow, parse_id("cnv", conv))
        members = (await ctx.session.scalars(select(MemberRow).where(MemberRow.left_at.is_(None)))).all()
    assert (row.message_count, row.member_count, row.epoch) == (messages, len(present), epoch)
    assert {member.usr: member.role for member in members} == {
        parse_id("usr", user): role for user, role in present.items()
    }
    assert not present or "owner" in present.values()


async def test_a_send_that_waited_for_its_senders_removal(world: Any) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    async with world.caller("alice").begin() as ctx:
        await world.chat.remove(ctx, conv, world.usr("bob"))
        waiting = asyncio.create_task(world.send("bob", conv, "key"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    with pytest.raises(NotMember):
        await waiting
    assert [entry["t"] for entry in world.gateway.on(f"conv:{conv}")] == ["member.left"]
    assert (await world.send("alice", conv, "key")).seq == 2


async def test_an_invitation_that_waited_for_its_inviters_removal(world: Any) -> None:
    conv = (await world.create("alice")).id
    await world.invite("alice", conv, "carol", "admin")
    async with world.caller("alice").begin() as ctx:
        await world.chat.remove(ctx, conv, world.usr("carol"))
        waiting = asyncio.create_task(world.invite("carol", conv, "dave"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    with pytest.raises(NotMember):
        await waiting
    assert (await world.get("alice", conv)).member_count == 1
