"""From `publish` to the socket: order, gaps, slow readers, other nodes."""

import asyncio
import socket

import pytest
from realtime_town import Serve, Wire, numbered, room, shuffled, somewhat, usr

from corekit import Actor
from corekit.contracts.realtime import Realtime

ROOM, SQUARE = room("one"), room("one", "square")


async def test_out_of_order_and_repeated_publishes_arrive_once_and_in_order(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        await wire.subscribe(ROOM)
        entries = numbered(40)
        calls = [(town.town.log.append(ROOM, data), data) for data in entries] * 2
        for offset, data in shuffled(calls):
            await town.town.realtime.publish(ROOM, data, offset=offset)
            if somewhat(1) < 0.2:
                await asyncio.sleep(0)
        assert [offset for offset, _ in await wire.heard(40)] == list(range(1, 41))
        assert "ping" in await wire.ask(ping={})
        assert wire.pushes.empty()


async def test_a_lost_publish_is_read_from_the_log_with_the_next_one(served: Serve) -> None:
    async with served() as town:
        wires = [await town.open(name) for name in ("alice", "bob")]
        for wire in wires:
            await wire.subscribe(ROOM)
        for data in numbered(3):
            town.town.log.append(ROOM, data)
        await town.town.tell(ROOM, b'{"n":4}')
        for wire in wires:
            assert await wire.heard(4) == [(n, {"n": n}) for n in (1, 2, 3, 4)]
        assert town.town.log.reads == 1, "one read serves all"


async def test_a_lost_publish_without_a_next_one_is_found_by_the_position_check(served_once: Serve) -> None:
    async with served_once(position_check=0.1) as town:
        wire = await town.open("alice")
        await wire.subscribe(ROOM)
        town.town.log.append(ROOM, b'"lost"')
        assert await wire.heard(1) == [(1, "lost")]


async def test_another_epoch_sends_subscribers_back_to_recovery(served_once: Serve) -> None:
    async with served_once(position_check=0.1) as town:
        wire = await town.open("alice")
        await wire.subscribe(ROOM)
        town.town.log.epoch = "restored"
        push = await wire.push()
        assert push["unsubscribe"] == {"code": 2500, "reason": "insufficient state"}
        assert (await wire.subscribe(ROOM, recover=True, epoch="epoch"))["epoch"] == "restored"


async def test_an_unreadable_gap_sends_subscribers_back_to_recovery(served_once: Serve) -> None:
    async with served_once(recover_rows=5) as town:
        wire = await town.open("alice")
        await wire.subscribe(ROOM)
        for data in numbered(10):
            town.town.log.append(ROOM, data)
        await town.town.tell(ROOM, b"11")
        assert (await wire.push())["unsubscribe"]["code"] == 2500
        assert (await wire.subscribe(ROOM, recover=True, epoch="epoch", offset=7))["recovered"]
        await town.town.tell(ROOM, b"12")
        assert await wire.heard(1) == [(12, 12)]


async def test_a_publish_in_a_unit_of_work_goes_out_with_its_commit(served_once: Serve) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        await wire.subscribe(SQUARE)
        realtime = town.kit.get(Realtime)
        async with town.kit.context(Actor.system("town")) as ctx:
            await realtime.publish(SQUARE, b'"kept"', ctx=ctx)
            await asyncio.sleep(0.05)
            assert wire.pushes.empty()
        with pytest.raises(KeyError):
            async with town.kit.context(Actor.system("town")) as ctx:
                await realtime.publish(SQUARE, b'"dropped"', ctx=ctx)
                raise KeyError
        await realtime.publish(SQUARE, b'"last"')
        assert [data for _, data in await wire.heard(2)] == ["kept", "last"]


@pytest.mark.parametrize(
    ("channel", "offset"), [("no:such", 0), (ROOM, 0), (SQUARE, 1), (f"user:{usr('alice')}", 3), ("room", 1)]
)
async def test_a_publish_that_cannot_be_right_is_a_fault_of_the_plugin(
    served_once: Serve, channel: str, offset: int
) -> None:
    async with served_once() as town:
        with pytest.raises(ValueError, match="channel"):
            await town.kit.get(Realtime).publish(channel, b"1", offset=offset)


async def test_data_with_line_breaks_is_still_one_message(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        await wire.subscribe(SQUARE)
        await town.kit.get(Realtime).publish(SQUARE, b'{\n "a": "b\\nc"\n}')
        assert await wire.heard(1) == [(0, {"a": "b\nc"})]


async def test_clients_publish_where_they_may(served: Serve) -> None:
    async with served() as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        await alice.subscribe(SQUARE)
        assert await bob.ask(publish={"channel": SQUARE, "data": {"typing": True}}) == {"id": 2, "publish": {}}
        push = await alice.push()
        assert push["pub"]["data"] == {"typing": True}
        info = {"user": usr("bob"), "client": bob.hello["client"], "conn_info": {"from": "town"}}
        assert push["pub"]["info"] == info
        assert (await bob.ask(publish={"channel": ROOM, "data": 1}))["error"]["code"] == 103
        assert (await bob.ask(publish={"channel": "no:such", "data": 1}))["error"]["code"] == 102
        assert (await bob.ask(publish={"channel": SQUARE}))["error"]["code"] == 107
        town.town.barred.add((Actor("bob").id, SQUARE))
        assert (await bob.ask(publish={"channel": SQUARE, "data": 1}))["error"]["code"] == 103
        codes = [
            (await alice.ask(publish={"channel": SQUARE, "data": n})).get("error", {}).get("code") for n in range(7)
        ]
        assert codes == [None] * 5 + [111] * 2


async def test_what_a_client_publishes_is_json_all_through(served_once: Serve) -> None:
    async with served_once() as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        await alice.subscribe(SQUARE)
        frame = '{"id":9,"publish":{"channel":"%s","data":{"a":%s}}}'
        await bob.socket.send(frame % (SQUARE, '"\\q"'))
        bob._replies[9] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.1)
        assert "ping" in await alice.ask(ping={})
        assert alice.pushes.empty()


async def test_a_stalled_reader_is_cut_off_and_the_room_is_unharmed(served: Serve) -> None:
    async with served(slow_for=1.0, ping=2.0, pong_timeout=1.0, soft_buffer=65_536, hard_buffer=262_144) as town:
        quick = [await town.open(name) for name in ("alice", "bob")]
        for wire in quick:
            await wire.subscribe(ROOM)
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", int(town.url.rpartition(":")[2])))
        stalled = await Wire.open(town.url, "carol", sock=small, max_queue=1)
        await stalled.subscribe(ROOM)
        stalled._reader.cancel()
        stalled.socket.transport.pause_reading()
        count = 1500
        for number in range(count):
            await town.town.tell(ROOM, b'{"n":%d,"text":"%s"}' % (number, b"x" * 4_000))
            await asyncio.sleep(0)
        for wire in quick:
            assert [offset for offset, _ in await wire.heard(count, 20)] == list(range(1, count + 1))
        async with asyncio.timeout(10):
            while len(town.node.connections) > 2:
                await asyncio.sleep(0.05)
        stalled.socket.transport.abort()
        assert town.node.stats.slow_closes == 1
        assert not town.node.caps.slow
        again = await town.open("carol")
        found = await again.subscribe(ROOM, recover=True, epoch="epoch", offset=count - 100)
        assert len(found["publications"]) == 100


async def test_two_kits_in_one_process_hear_nothing_of_each_other(served_once: Serve) -> None:
    async with served_once() as one, served_once() as other:
        wires = [await one.open("alice"), await other.open("alice")]
        for wire in wires:
            await wire.subscribe(SQUARE)
        await one.kit.get(Realtime).publish(SQUARE, b"1")
        assert await wires[0].heard(1) == [(0, 1)]
        assert "ping" in await wires[1].ask(ping={})
        assert wires[1].pushes.empty()
