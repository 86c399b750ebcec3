"""Two nodes on each bus: what crosses, what a lost bus costs, and a bus that loses, repeats and reorders."""

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realtime_nodes import Nodes, Unruly, on_each, on_each_remote
from realtime_town import TownPlugin, numbered, room, usr

from corekit import Actor
from corekit.contracts.realtime import Realtime
from corekit.errors import ConfigError
from corekit.testing import FakeClock, make_kit
from corekit_realtime import RealtimePlugin, RealtimeSettings
from corekit_realtime.bus import MemoryBus, shard_of
from corekit_realtime.bus.postgresql import PART, parts

ROOM, SQUARE = room("one"), room("one", "square")


@on_each
async def test_everything_crosses(pair: Nodes) -> None:
    wires = await pair.wires("alice", "alice")
    for wire in wires:
        await wire.subscribe(ROOM)
        await wire.subscribe(SQUARE)
    for number, data in enumerate(numbered(20)):
        await pair.towns[number % 2].tell(ROOM, data)
    for wire in wires:
        assert [offset for offset, _ in await wire.heard(20)] == list(range(1, 21))
    await wires[0].ask(publish={"channel": SQUARE, "data": "hi"})
    push = await wires[1].push()
    assert (push["pub"]["data"], push["pub"]["info"]["user"]) == ("hi", usr("alice"))
    realtimes = [node.kit.get(Realtime) for node in pair.nodes]
    await realtimes[0].publish(f"user:{usr('alice')}", b'"psst"')
    assert (await wires[1].heard(1))[0][1] == "psst"
    await realtimes[0].unsubscribe(Actor("alice").id, ROOM)
    while "unsubscribe" not in (push := await wires[1].push()):
        pass
    assert push["channel"] == ROOM
    await realtimes[1].disconnect(Actor("alice").id)
    assert [await wire.closed() for wire in wires] == [3503, 3503]


@on_each
async def test_long_and_equal_messages_cross_whole(pair: Nodes) -> None:
    """Red on PostgreSQL where the parts of a message have no numbers: it delivers two equal ones once."""
    (_, bob) = await pair.wires("alice", "bob")
    await bob.subscribe(SQUARE)
    realtime = pair.nodes[0].kit.get(Realtime)
    said = ["ä" * 20_000, "x" * 40_000, "short", "short", "short", "€uro" * 9_000]
    for text in said:
        await realtime.publish(SQUARE, f'"{text}"'.encode())
    assert [text for _, text in await bob.heard(len(said))] == said


@on_each
async def test_a_subscription_misses_nothing_that_is_published_elsewhere_meanwhile(pair: Nodes) -> None:
    """Red where `make` does not wait for the bus: what comes before the broker knows of the listener is lost."""
    (_, bob) = await pair.wires("alice", "bob")
    for index in range(12):
        channel = room(f"race {index}")
        told = asyncio.create_task(_tell(pair.towns[0], channel, 30))
        await asyncio.sleep(random.random() / 100)  # noqa: S311
        first = (await bob.subscribe(channel, recover=True, epoch="epoch", offset=0)).get("publications", [])
        await told
        rest = await bob.heard(30 - len(first))
        assert [entry["offset"] for entry in first] + [offset for offset, _ in rest] == list(range(1, 31))
        await bob.ask(unsubscribe={"channel": channel})


async def _tell(town: TownPlugin, channel: str, count: int) -> None:
    for data in numbered(count):
        await town.tell(channel, data)
        await asyncio.sleep(0.001)


@on_each_remote
async def test_what_a_lost_bus_lost_is_read_from_the_log(pair: Nodes) -> None:
    """Red where `restored` compares nothing: the position check comes 40 s later."""
    assert pair.door is not None
    wires = await pair.wires("alice", "bob")
    for wire in wires:
        await wire.subscribe(ROOM)
    await pair.towns[0].tell(ROOM, b"1")
    assert [offset for offset, _ in await wires[1].heard(1)] == [1]
    await pair.door.shut()
    await pair.ready(ready=False)
    for data in numbered(40):
        await pair.towns[0].tell(ROOM, data)
    assert [offset for offset, _ in await wires[0].heard(41)] == list(range(1, 42))
    await pair.door.open()
    await pair.ready()
    assert [offset for offset, _ in await wires[1].heard(40, 10)] == list(range(2, 42))
    await pair.towns[1].tell(ROOM, b"2")
    assert [offset for offset, _ in await wires[0].heard(1)] == [42]


@on_each
async def test_what_no_node_understands_harms_nobody(pair: Nodes) -> None:
    """Red where `receive` raises: on Valkey that ends the connection, and the next message too."""
    (_, bob) = await pair.wires("alice", "bob")
    await bob.subscribe(SQUARE)
    one = pair.nodes[0].node
    for garbage in (b"{}", b"[", b'["z","later"]', b'["p",1]', "ä".encode()):
        one.bus.publish(shard_of(SQUARE, one.settings.shards), garbage)
    await one.kit.get(Realtime).publish(SQUARE, b'"hi"')
    assert [text for _, text in await bob.heard(1)] == ["hi"]
    assert pair.nodes[1].node.stats.unreadable == 5
    assert all(node.node.bus.ready for node in pair.nodes)


@on_each_remote
async def test_a_node_that_stops_sends_what_waits(pair: Nodes) -> None:
    """Red where `stop` cancels without waiting: what was published last is gone."""
    (_, bob) = await pair.wires("alice", "bob")
    await bob.subscribe(SQUARE)
    realtime, bus = pair.nodes[0].kit.get(Realtime), pair.nodes[0].node.bus
    for number in range(3000):
        await realtime.publish(SQUARE, b"%d" % number)
    await bus.stop()
    assert [number for _, number in await bob.heard(3000, 10)] == list(range(3000))


@on_each_remote
async def test_health_says_that_the_bus_is_lost(pair: Nodes) -> None:
    assert pair.door is not None
    await pair.door.shut()
    await pair.ready(ready=False)
    ready, states = await pair.nodes[0].kit.health.ready()
    assert not ready
    assert [state for name, state in states.items() if "bus" in name] == ["down"]


async def test_a_bus_that_loses_repeats_and_reorders(clock: FakeClock) -> None:
    async with AsyncExitStack() as stack:
        pair = Nodes(stack, clock, own=Unruly())
        await pair.start(2)
        wires = await pair.wires("alice", "bob")
        for wire in wires:
            await wire.subscribe(ROOM)
        for number, data in enumerate(numbered(300)):
            await pair.towns[number % 2].tell(ROOM, data)
            if not number % 10:
                await asyncio.sleep(0.001)
        for node in pair.nodes:
            await node.node.bus.settle()
        await asyncio.sleep(0.1)
        for town in pair.towns:
            await town.tell(ROOM, b'"last"')  # whoever missed the end hears of it with one of these
        for wire in wires:
            assert [offset for offset, _ in await wire.heard(301)] == list(range(1, 302))


@pytest.mark.parametrize(
    ("bus", "message"),
    [
        ("carrier pigeons", "auto, memory, postgresql, redis, redis://"),
        ("postgresql", r"\[database\] url is not"),
        ("redis", r"\[redis\] url is not set"),
        ("redis://h:1/x", r"\[redis\] url is like"),
    ],
)
async def test_a_bus_that_cannot_be_is_named(clock: FakeClock, bus: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        async with make_kit([RealtimePlugin(RealtimeSettings(bus=bus)), TownPlugin()], clock=clock):
            pass


async def test_several_processes_are_joined_by_redis_where_there_is_one(clock: FakeClock, valkey_url: str) -> None:
    plugin = RealtimePlugin()
    settings: dict[str, dict[str, Any]] = {"kit": {"workers": 2}}
    with pytest.raises(ConfigError, match=r"joins no other process; set \[redis\] url"):
        async with make_kit([plugin, TownPlugin()], clock=clock, settings=settings):
            pass
    async with make_kit([plugin, TownPlugin()], clock=clock, settings=settings | {"redis": {"url": valkey_url}}):
        assert plugin._node is not None
        assert not isinstance(plugin._node.bus, MemoryBus)


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.integers(1, 900))
def test_parts_are_the_message(text: str, times: int) -> None:
    message = (text * times).encode()
    found = list(parts(message))
    assert "".join(part[1:] for part in found).encode() == message
    assert "".join(part[0] for part in found) == "+" * (len(found) - 1) + "."
    assert all(len(part.encode()) <= PART + 1 for part in found)
