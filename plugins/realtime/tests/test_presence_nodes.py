"""Presence on several nodes, on every bus: who is seen, who leaves with a node, and what it costs."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic, sleep
from typing import Any

import pytest
from realtime_nodes import Join, Nodes, on_each, on_each_remote
from realtime_town import Served, room, usr
from realtime_wire import Wire

from corekit import Actor
from corekit.contracts.realtime import Online, Realtime
from corekit.errors import ConfigError
from corekit.testing import FakeClock
from corekit_realtime import RealtimeSettings
from corekit_realtime.bus import Digest, MemoryBus
from corekit_realtime.presence import Presences
from corekit_realtime.protocol import ClientInfo

SQUARE = room("one", "square")
ALICE, BOB = Actor("alice").id, Actor("bob").id
QUICK: dict[str, Any] = {"join_leave_every": 0.02, "presence_digest": 0.4, "leave_delay": 0.5}
SILENCE = 1.2  # seconds, three digests


async def until(there: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what the others tell."""
    async with asyncio.timeout(seconds):
        while not there():
            await asyncio.sleep(0.01)


def counted(node: Served, count: int) -> Callable[[], bool]:
    """Say whether a node sees so many on the square."""
    return lambda: len(node.node.presences.clients(SQUARE)) == count


async def changes(wire: Wire, count: int) -> set[tuple[str, str]]:
    """Return the next joins and leaves, with the clients."""
    found = set()
    while len(found) < count:
        push = await wire.push(10)
        found |= {(kind, push[kind]["info"]["client"]) for kind in ("join", "leave") if kind in push}
    return found


async def die(node: Served) -> None:
    """Take a node its bus away: the others hear nothing more of it, and no goodbye."""
    node.node.bus.unsubscribe(node.node.receive)
    if isinstance(node.node.bus, MemoryBus):
        node.node.presences._bus = MemoryBus()
    else:
        await node.node.bus.stop()


@on_each
async def test_presence_and_online_know_all_nodes(joined: Join) -> None:
    async with joined(**QUICK) as pair:
        alice, bob = await pair.wires("alice", "bob")
        also = await pair.nodes[1].open("alice")
        for wire in (alice, bob, also):
            await wire.subscribe(SQUARE)
        for node, wire in zip(pair.nodes, (alice, bob), strict=True):
            await until(counted(node, 3))
            found = (await wire.ask(presence={"channel": SQUARE}))["presence"]["presence"]
            assert {client: (info["user"], info["conn_info"]["from"]) for client, info in found.items()} == {
                alice.hello["client"]: (usr("alice"), "town"),
                bob.hello["client"]: (usr("bob"), "town"),
                also.hello["client"]: (usr("alice"), "town"),
            }
            stats = (await wire.ask(presence_stats={"channel": SQUARE}))["presence_stats"]
            assert stats == {"num_clients": 3, "num_users": 2}
            realtime = node.kit.get(Realtime)
            assert (await realtime.presence(SQUARE)).users == 2
            everybody = await realtime.online([ALICE, BOB, Actor("carol").id])
            assert everybody == {ALICE: Online(2), BOB: Online(1)}


@on_each
async def test_a_node_that_joins_learns_who_is_there(joined: Join) -> None:
    async with joined(1, **QUICK) as nodes:
        for name in ("alice", "bob"):
            await (await nodes.nodes[0].open(name)).subscribe(SQUARE)
        await nodes.start()
        await until(counted(nodes.nodes[1], 2))
        await (await nodes.nodes[1].open("carol")).subscribe(SQUARE)
        await until(counted(nodes.nodes[0], 3))
        assert await nodes.nodes[1].kit.get(Realtime).online([BOB]) == {BOB: Online(1)}


@on_each
async def test_joins_and_leaves_cross(joined: Join) -> None:
    async with joined(**QUICK) as pair:
        alice, bob = await pair.wires("alice", "bob")
        await alice.subscribe(SQUARE, join_leave=True)
        assert await changes(alice, 1) == {("join", alice.hello["client"])}
        await bob.subscribe(SQUARE)
        assert await changes(alice, 1) == {("join", bob.hello["client"])}
        await bob.ask(unsubscribe={"channel": SQUARE})
        assert await changes(alice, 1) == {("leave", bob.hello["client"])}
        assert counted(pair.nodes[0], 1)()


@on_each
async def test_who_comes_back_on_another_node_shows_no_flap(joined: Join) -> None:
    """Red where a node does not let go of a lost device when its user is heard of elsewhere: it stays for a minute."""
    async with joined(**QUICK | {"leave_delay": 60}) as pair:
        alice, bob = await pair.wires("alice", "bob")
        await alice.subscribe(SQUARE, join_leave=True)
        await bob.subscribe(SQUARE)
        await changes(alice, 2)
        await bob.close()
        await asyncio.sleep(0.2)
        assert counted(pair.nodes[0], 2)()
        again = await pair.nodes[0].open("bob")
        await again.subscribe(SQUARE)
        assert await changes(alice, 2) == {("join", again.hello["client"]), ("leave", bob.hello["client"])}
        for node in pair.nodes:
            await until(counted(node, 2))
            assert await node.kit.get(Realtime).online([BOB]) == {BOB: Online(1)}


@on_each
async def test_the_clients_of_a_node_that_dies_leave_after_its_silence(joined: Join) -> None:
    async with joined(**QUICK) as pair:
        alice, bob = await pair.wires("alice", "bob")
        await alice.subscribe(SQUARE, join_leave=True)
        await bob.subscribe(SQUARE)
        await changes(alice, 2)
        began = monotonic()
        await die(pair.nodes[1])
        assert await changes(alice, 1) == {("leave", bob.hello["client"])}
        assert SILENCE - QUICK["presence_digest"] <= monotonic() - began < 10 * SILENCE
        assert await pair.nodes[0].kit.get(Realtime).online([ALICE, BOB]) == {ALICE: Online(1)}


@on_each
async def test_the_clients_of_a_node_that_stops_have_the_time_to_come_back(joined: Join) -> None:
    """Red where the goodbye is not sent before the node is deaf, or drops the clients at once."""
    async with joined(**QUICK | {"presence_digest": 60, "leave_delay": 1.5}) as pair:
        alice, bob = await pair.wires("alice", "bob")
        carol = await pair.nodes[1].open("carol")
        await alice.subscribe(SQUARE, join_leave=True)
        for wire in (bob, carol):
            await wire.subscribe(SQUARE)
        await changes(alice, 3)
        began = monotonic()
        pair.nodes[1].node.presences.stop()
        await die(pair.nodes[1])
        again = await pair.nodes[0].open("bob")
        await again.subscribe(SQUARE)
        assert await changes(alice, 2) == {("join", again.hello["client"]), ("leave", bob.hello["client"])}
        assert await changes(alice, 1) == {("leave", carol.hello["client"])}
        assert 1.5 <= monotonic() - began < 10


@on_each_remote
async def test_after_a_lost_bus_all_see_all_again(joined: Join) -> None:
    async with joined(**QUICK) as pair:
        assert pair.door is not None
        for name, node in zip(("alice", "bob"), pair.nodes, strict=True):
            await (await node.open(name)).subscribe(SQUARE)
        for node in pair.nodes:
            await until(counted(node, 2))
        await pair.door.shut()
        for node in pair.nodes:
            await until(counted(node, 1))
        await (await pair.nodes[1].open("carol")).subscribe(SQUARE)
        await pair.door.open()
        await pair.ready()
        for node in pair.nodes:
            await until(counted(node, 3))


async def test_a_crowd_on_several_nodes_is_not_told_of_each_who_comes(joined_once: Join) -> None:
    """Red where a node counts its own clients alone."""
    async with joined_once(0, **QUICK) as nodes:
        nodes.crowd = 2
        await nodes.start(2)
        alice, bob = await nodes.wires("alice", "bob")
        await alice.subscribe(SQUARE, join_leave=True)
        await bob.subscribe(SQUARE)
        await changes(alice, 2)
        await (await nodes.nodes[1].open("carol")).subscribe(SQUARE)
        await until(counted(nodes.nodes[0], 3))
        await asyncio.sleep(0.1)
        assert alice.pushes.empty()


class Recorder(MemoryBus):
    """Notes what is published; others may hear it, or not."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__()
        self._alone = alone
        self.published: list[bytes] = []

    @property
    def alone(self) -> bool:
        return self._alone

    def publish(self, shard: int, message: bytes) -> None:
        self.published.append(message)


async def test_a_storm_takes_few_messages(clock: FakeClock) -> None:
    """10,000 clients come, in 10 channels each of 1,000, and go: messages in dozens."""
    bus = Recorder(alone=False)
    quiet = {"hears": lambda _: False, "tell": lambda *_: None, "offline": lambda *_: None}
    presences = Presences("me", bus, RealtimeSettings(**QUICK), **quiet)
    clients = [ClientInfo(user=usr("alice"), client=f"client {number}") for number in range(10_000)]
    for number, info in enumerate(clients):
        presences.enter(room(str(number % 10)), info)
    await until(lambda: len(bus.published) >= 11)
    for number, info in enumerate(clients):
        presences.leave(room(str(number % 10)), info.client, at_once=True)
    await asyncio.sleep(1)
    presences.stop()
    assert len(bus.published) < 30
    assert sum(map(len, bus.published)) < 4_000_000


async def test_one_process_alone_writes_nothing_down(clock: FakeClock) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack, clock, own=(bus := Recorder(alone=True)), **QUICK)
        await nodes.start()
        alice = await nodes.nodes[0].open("alice")
        await alice.subscribe(SQUARE)
        await asyncio.sleep(1)
        assert nodes.nodes[0].node.presences._journal is None
        assert bus.published == []
        assert await nodes.nodes[0].kit.get(Realtime).online([ALICE]) == {ALICE: Online(1)}


async def test_a_process_that_slept_holds_it_against_nobody(joined_once: Join) -> None:
    """Red without the pardon: after a stop of the whole loop everybody else seems to have been silent."""
    async with joined_once(**QUICK) as pair:
        alice, bob = await pair.wires("alice", "bob")
        await alice.subscribe(SQUARE, join_leave=True)
        await bob.subscribe(SQUARE)
        await changes(alice, 2)
        await asyncio.sleep(0.3)
        sleep(2 * SILENCE)  # noqa: ASYNC251  # nothing of this process goes on meanwhile
        pair.nodes[0].node.presences.check()
        assert counted(pair.nodes[0], 2)()


async def test_who_greets_is_answered_at_once(clock: FakeClock) -> None:
    """Red where only newcomers are: who lost its bus for a moment would wait for the next digest."""
    bus = Recorder(alone=False)
    settings = RealtimeSettings(**QUICK | {"presence_digest": 60})
    presences = Presences("me", bus, settings, hears=lambda _: False, tell=lambda *_: None, offline=lambda *_: None)
    for greets, answers in ((False, 1), (False, 0), (True, 1)):  # the first is news of a node
        bus.published.clear()
        presences.receive(Digest("other", 0, 0, 180, greets))
        await asyncio.sleep(0.2)
        assert len(bus.published) == answers, greets
    presences.stop()


def test_a_digest_takes_its_time() -> None:
    with pytest.raises(ConfigError, match="presence_digest must be above 0"):
        RealtimeSettings(presence_digest=0)
