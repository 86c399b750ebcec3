"""A user's last device is gone: told once, with the moment, and not for who comes back."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from realtime_nodes import Join, Nodes, on_each
from realtime_town import Served, usr
from sqlalchemy import select

from corekit import Actor
from corekit.contracts.realtime import Online, Realtime, WentOffline
from corekit.data.outbox import OutboxRow
from corekit.events import emit, tag_of
from corekit_realtime.bus import MemoryBus

ALICE = Actor("alice").id
LEAVE = 0.5
QUICK: dict[str, Any] = {"join_leave_every": 0.02, "presence_digest": 0.4, "leave_delay": LEAVE}
ONCE_MORE = 1.0  # seconds in which a second telling would have come
alone = pytest.mark.parametrize("broker", ["memory"], indirect=True)


@alone
async def test_the_last_device_of_a_user(joined: Join) -> None:
    """Red where a device that stays is not looked for, and where the moment is that of the telling."""
    async with joined(1, **QUICK) as nodes:
        [node] = nodes.nodes
        first, second, _ = await node.open("alice"), await node.open("alice"), await node.open("bob")
        await first.close()
        await asyncio.sleep(LEAVE + ONCE_MORE)
        assert await told(nodes) == []
        await second.close()
        assert await tells(nodes) == [WentOffline(user=ALICE, at=node.clock.now() - timedelta(seconds=LEAVE))]


@alone
async def test_who_comes_back_in_time_was_never_gone(joined: Join) -> None:
    """Red where a room is empty for a moment while a new device takes the place of a lost one."""
    async with joined(1, **QUICK | {"leave_delay": 60.0}) as nodes:
        [node] = nodes.nodes
        await (await node.open("alice")).close()
        async with asyncio.timeout(30):
            while len(node.node.connections):
                await asyncio.sleep(0.01)
        await node.open("alice")
        await asyncio.sleep(ONCE_MORE)
        assert await told(nodes) == []


@on_each
async def test_a_device_on_another_node_counts(joined: Join) -> None:
    """Red where each node looks at its own devices alone."""
    async with joined(**QUICK) as nodes:
        here, there = await nodes.nodes[0].open("alice"), await nodes.nodes[1].open("alice")
        await online(nodes, 2)
        await here.close()
        await asyncio.sleep(LEAVE + 3 * ONCE_MORE)
        assert await told(nodes) == []
        await there.close()
        assert [event.user for event in await tells(nodes)] == [ALICE]


@alone
async def test_two_that_go_at_once_are_not_both_left_to_the_other(joined: Join) -> None:
    """Red when a node that had one of the last two devices tells nothing once it hears that the other is gone too."""
    async with joined(**QUICK) as nodes:
        here, there = await nodes.nodes[0].open("alice"), await nodes.nodes[1].open("alice")
        await online(nodes, 2)
        buses, held = [node.node.presences for node in nodes.nodes], list[Any]()
        for presences in buses:  # neither hears of the other until both are gone
            held.append(presences._publish)
            presences._publish = lambda _: None  # type: ignore[method-assign]
        await asyncio.gather(here.close(), there.close())
        channel = f"user:{usr('alice')}"
        async with asyncio.timeout(30):
            while any(len(node.node.presences.clients(channel)) == 2 for node in nodes.nodes):
                await asyncio.sleep(0.01)
        for presences, publish in zip(buses, held, strict=True):
            presences._publish = publish  # type: ignore[method-assign]
        assert {event.user for event in await tells(nodes)} == {ALICE}


@alone
async def test_who_cannot_hear_anybody_speaks_for_nobody(joined: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a node whose bus is lost takes the others for gone: their users are still connected."""
    async with joined(**QUICK) as nodes:
        await nodes.nodes[1].open("alice")
        await online(nodes, 1)
        bus = MemoryBus()
        monkeypatch.setattr(type(bus), "ready", False)
        nodes.nodes[0].node.bus.unsubscribe(nodes.nodes[0].node.receive)
        async with asyncio.timeout(30):
            while nodes.nodes[0].node.presences.clients(f"user:{usr('alice')}"):
                await asyncio.sleep(0.05)
        await asyncio.sleep(ONCE_MORE)
        assert await told(nodes) == []


@alone
async def test_departures_wait_for_the_database(joined: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when who went while the database was away is forgotten."""
    monkeypatch.setattr("corekit_realtime.presence.departures._AGAIN", 0.05)
    faults = [OSError("away"), OSError("away")]

    async def faulty(ctx: Any, event: Any) -> None:
        if faults:
            raise faults.pop()
        await emit(ctx, event)

    monkeypatch.setattr("corekit_realtime.presence.departures.emit", faulty)
    async with joined(1, **QUICK) as nodes:
        await (await nodes.nodes[0].open("alice")).close()
        assert [event.user for event in await tells(nodes)] == [ALICE]
        assert faults == []


@alone
@pytest.mark.parametrize("farewell", [True, False])
async def test_of_those_who_were_on_a_node_that_is_gone_another_tells(joined: Join, farewell: bool) -> None:
    """Red, with two tellings, where each node that is left speaks; with none where only a device's own node does."""
    async with joined(3, **QUICK) as nodes:
        gone, left, _ = nodes.nodes
        await gone.open("alice")
        await gone.open("bob")
        await left.open("bob")
        await online(nodes, 1)
        if farewell:
            await gone.node.stop(0)
        else:  # the others hear nothing more of it
            gone.node.bus.unsubscribe(gone.node.receive)
            gone.node.presences._bus = MemoryBus()
        assert [event.user for event in await tells(nodes, but=gone)] == [ALICE]


async def online(nodes: Nodes, count: int) -> None:
    """Wait until every node sees so many devices of Alice's."""
    async with asyncio.timeout(30):
        for node in nodes.nodes:
            while (await node.kit.get(Realtime).online([ALICE])).get(ALICE, Online(0)).devices != count:
                await asyncio.sleep(0.01)


async def tells(nodes: Nodes, *, but: Served | None = None) -> list[WentOffline]:
    """Wait until something is told, and then for one too many."""
    async with asyncio.timeout(30):
        while not await told(nodes, but):
            await asyncio.sleep(0.05)
    await asyncio.sleep(ONCE_MORE)
    return await told(nodes, but)


async def told(nodes: Nodes, but: Served | None = None) -> list[WentOffline]:
    """Read what was recorded, on the databases of all nodes; some buses bring one for all."""
    found = {}
    for node in nodes.nodes:
        if node is not but:
            async with node.kit.caller().system("town").begin(readonly=True) as ctx:
                of_ours = select(OutboxRow.id, OutboxRow.payload).where(OutboxRow.tag == tag_of(WentOffline))
                found |= {row.id: row.payload for row in await ctx.session.execute(of_ours)}
    return [msgspec.json.decode(payload, type=WentOffline) for payload in found.values()]
