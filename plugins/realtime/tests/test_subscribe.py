"""Subscribing, and recovering what was missed."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from realtime_town import Serve, TownPlugin, Wire, numbered, room, somewhat

from corekit import Actor
from corekit.contracts.realtime import Grant, Realtime
from corekit.values import typeid

ROOM = room("one")
MANY_RACES = 300


async def test_a_subscriber_hears_what_is_published(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        assert await wire.subscribe(ROOM) == {"recoverable": True, "positioned": True, "epoch": "epoch"}
        for data in numbered(3):
            await town.town.tell(ROOM, data)
        assert await wire.heard(3) == [(1, {"n": 1}), (2, {"n": 2}), (3, {"n": 3})]
        assert await wire.ask(unsubscribe={"channel": ROOM}) == {"id": 3, "unsubscribe": {}}
        await town.town.tell(ROOM, b"4")
        assert (await wire.subscribe(ROOM))["offset"] == 4
        assert wire.pushes.empty()


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("", 107),
        ("room:" + "x" * 260, 107),
        ("room", 102),
        ("room:", 102),
        ("nowhere:rom_00000000000000000000000000", 102),
        (f"room:{UUID(int=7)}", 102),
        (room("one").upper(), 102),
        (room("one").replace("rom_", "usr_"), 102),
        (room("one").replace("room:", "Room:"), 102),
        (room("one") + "0", 102),
        (" " + room("one"), 102),
        (f"user:{typeid('usr', Actor('bob').id)}", 103),
    ],
)
async def test_a_channel_has_one_name(served_once: Serve, channel: str, code: int) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        assert (await wire.subscribe(channel))["code"] == code
        assert len(town.node.channels.all()) == 1, "only the user's own channel is there"


async def test_who_may_not_hear_leaves_no_trace(served: Serve) -> None:
    async with served() as town:
        town.town.barred.add((Actor("alice").id, ROOM))
        wire = await town.open("alice")
        assert (await wire.subscribe(ROOM)) == {"code": 103, "message": "permission denied"}
        assert town.node.channels.find(ROOM) is None
        assert len(next(iter(town.node.connections.all())).subscriptions) == 1


async def test_twice_and_too_many(served_once: Serve) -> None:
    async with served_once(channels_max=3) as town:
        wire = await town.open("alice")
        assert (await wire.subscribe(ROOM))["recoverable"]
        assert (await wire.subscribe(ROOM))["code"] == 105
        await wire.subscribe(room("two"))
        assert (await wire.subscribe(room("three")))["code"] == 106, "the user's own channel counts"


async def test_a_broken_log_is_an_error_and_leaves_no_trace(served_once: Serve) -> None:
    async with served_once() as town:
        await town.town.tell(ROOM, b"1")
        town.town.log.broken = True
        wire = await town.open("alice")
        error = await wire.subscribe(ROOM, recover=True, epoch="epoch")
        assert error == {"code": 100, "message": "internal server error", "temporary": True}
        assert town.node.channels.find(ROOM) is None
        town.town.log.broken = False
        assert (await wire.subscribe(ROOM, recover=True, epoch="epoch"))["recovered"]


async def test_what_was_missed_comes_with_the_reply(served: Serve) -> None:
    async with served() as town:
        for data in numbered(5):
            await town.town.tell(ROOM, data)
        wire = await town.open("alice")
        found = await wire.subscribe(ROOM, recover=True, epoch="epoch", offset=2)
        assert (found["recovered"], found["was_recovering"], found["offset"]) == (True, True, 5)
        assert [(entry["offset"], entry["data"]["n"]) for entry in found["publications"]] == [(3, 3), (4, 4), (5, 5)]
        await town.town.tell(ROOM, b"6")
        assert await wire.heard(1) == [(6, 6)]


@pytest.mark.parametrize(
    "position", [{"epoch": "other", "offset": 1}, {"epoch": "epoch", "offset": 9}, {"epoch": "epoch", "offset": 0}]
)
async def test_where_too_much_or_the_unknown_is_missing_the_client_is_told(
    served_once: Serve, position: dict[str, Any]
) -> None:
    async with served_once(recover_rows=4) as town:
        for data in numbered(5):
            await town.town.tell(ROOM, data)
        wire = await town.open("alice")
        found = await wire.subscribe(ROOM, recover=True, **position)
        assert found["was_recovering"] is True
        assert "recovered" not in found
        assert found["offset"] == 5
        await town.town.tell(ROOM, b"6")
        assert await wire.heard(1) == [(6, 6)]
        other = await town.open("bob")
        assert (await other.subscribe(ROOM, recover=True, flag=2, **position))["code"] == 112


async def test_recovery_has_a_size(served_once: Serve) -> None:
    async with served_once(recover_bytes=10_000) as town:
        for _ in range(3):
            await town.town.tell(ROOM, b'"%s"' % (b"x" * 4_000))
        wire = await town.open("alice")
        assert "recovered" not in await wire.subscribe(ROOM, recover=True, epoch="epoch", offset=0)
        other = await town.open("bob")
        assert (await other.subscribe(ROOM, recover=True, epoch="epoch", offset=1))["recovered"]


async def test_a_large_recovery_reaches_a_reader_that_takes_its_time(served: Serve) -> None:
    async with served(slow_for=5.0) as town:
        for _ in range(400):
            await town.town.tell(ROOM, b'"%s"' % (b"x" * 2_400))
        wire = await town.open("alice")
        found = await wire.subscribe(ROOM, recover=True, epoch="epoch", offset=0)
        assert len(found["publications"]) == 400
        await town.town.tell(ROOM, b"1")
        assert await wire.heard(1) == [(401, 1)]


async def test_history(served: Serve) -> None:
    async with served(history_max=4) as town:
        for data in numbered(6):
            await town.town.tell(ROOM, data)
        wire = await town.open("alice")
        assert (await wire.ask(history={"channel": ROOM}))["error"]["code"] == 103
        await wire.subscribe(ROOM)

        async def offsets(**request: Any) -> list[int]:
            reply = (await wire.ask(history={"channel": ROOM, **request}))["history"]
            assert (reply["epoch"], reply["offset"]) == ("epoch", 6)
            return [entry["offset"] for entry in reply.get("publications", [])]

        assert await offsets() == []
        assert await offsets(limit=2) == [1, 2]
        assert await offsets(limit=100) == [1, 2, 3, 4]
        assert await offsets(limit=-1) == [1, 2, 3, 4]
        assert await offsets(limit=2, reverse=True) == [6, 5]
        assert await offsets(limit=2, since={"offset": 3, "epoch": "epoch"}) == [4, 5]
        assert await offsets(limit=2, since={"offset": 3, "epoch": "epoch"}, reverse=True) == [2, 1]
        assert await offsets(limit=9, since={"offset": 1}, reverse=True) == []
        wrong = await wire.ask(history={"channel": ROOM, "limit": 1, "since": {"offset": 1, "epoch": "other"}})
        assert wrong["error"]["code"] == 112
        await wire.subscribe(room("one", "square"))
        assert (await wire.ask(history={"channel": room("one", "square")}))["error"]["code"] == 108


async def test_a_removed_member_hears_nothing_more(served: Serve) -> None:
    async with served() as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        await alice.subscribe(ROOM)
        await bob.subscribe(ROOM)
        await town.town.tell(ROOM, b"1")
        await town.kit.get(Realtime).unsubscribe(Actor("bob").id, ROOM)
        await town.town.tell(ROOM, b"2")
        assert await alice.heard(2) == [(1, 1), (2, 2)]
        assert (await bob.push())["pub"]["offset"] == 1
        assert (await bob.push())["unsubscribe"] == {"code": 2000, "reason": "unsubscribed"}
        assert "ping" in await bob.ask(ping={})
        assert bob.pushes.empty()


async def test_who_is_removed_while_subscribing_is_refused(served_once: Serve) -> None:
    async with served_once() as town:
        town.town.log.delay = 1.0
        wire = await town.open("alice")
        asking = wire.begin(subscribe={"channel": ROOM})
        while town.node.channels.find(ROOM) is None:
            await asyncio.sleep(0.01)
        await town.kit.get(Realtime).unsubscribe(Actor("alice").id, ROOM)
        assert (await asking)["error"]["code"] == 103
        assert town.node.channels.find(ROOM) is None


async def test_who_hangs_up_while_subscribing_leaves_no_trace(served: Serve) -> None:
    async with served() as town:
        town.town.log.delay = 0.2
        wire = await town.open("alice")
        wire.begin(subscribe={"channel": ROOM})
        await asyncio.sleep(0.05)
        await wire.close()
        async with asyncio.timeout(10):
            while town.node.channels.all() or len(town.node.connections):
                await asyncio.sleep(0.02)


async def test_a_subscription_expires_unless_it_is_renewed(served_once: Serve) -> None:
    async with served_once(ping=1.0, pong_timeout=0.9, expiry_grace=1.0) as town:
        town.town.grant = Grant(expires_at=town.clock.now() + timedelta(seconds=30))
        alice, bob = await town.open("alice"), await town.open("bob")
        found = await alice.subscribe(ROOM)
        assert (found["expires"], found["ttl"]) == (True, 30)
        await bob.subscribe(ROOM)
        town.town.grant = Grant(expires_at=town.clock.now() + timedelta(seconds=60))
        renewed = (await bob.ask(sub_refresh={"channel": ROOM}))["sub_refresh"]
        assert (renewed["expires"], renewed["ttl"]) == (True, 60)
        town.clock.move(32)
        assert (await alice.push())["unsubscribe"]["code"] == 2501
        assert bob.pushes.empty()


async def test_publishing_while_subscribing_neither_loses_nor_repeats(served: Serve) -> None:
    """Commit, position, reply and publication in every order that a slow log and a slow bus can make."""
    async with served(commands_rate=10_000, commands_burst=10_000, channels_max=10_000) as town:
        town.town.log.delay = 0.003
        wire, steady = await town.open("alice"), await town.open("bob")
        for number in range(MANY_RACES):
            channel = room(f"race {number}")
            if number % 2:
                await steady.subscribe(channel)
            speaking = asyncio.create_task(_speak(town.town, channel, 6))
            await asyncio.sleep(somewhat(0.006))
            recover = {"recover": True, "epoch": "epoch", "offset": 0} if number % 3 else {}
            found = await wire.subscribe(channel, **recover)
            await speaking
            await _demand_each_once(wire, found, 6)
            await wire.ask(unsubscribe={"channel": channel})
            if number % 2:
                assert [offset for offset, _ in await steady.heard(6)] == [1, 2, 3, 4, 5, 6]
                await steady.ask(unsubscribe={"channel": channel})


async def _speak(town: TownPlugin, channel: str, count: int) -> None:
    """Commit in order, publish in disorder, as lanes of several writers do."""

    async def later(offset: int, data: bytes) -> None:
        await asyncio.sleep(somewhat(0.004))
        await town.realtime.publish(channel, data, offset=offset)

    async with asyncio.TaskGroup() as group:
        for data in numbered(count):
            group.create_task(later(town.log.append(channel, data), data))
            await asyncio.sleep(somewhat(0.002))


async def _demand_each_once(wire: Wire, found: dict[str, Any], count: int) -> None:
    """The reply, and what follows it, are the log from the reply's position on."""
    offsets = [entry["offset"] for entry in found.get("publications", [])]
    reached = found.get("offset", 0)
    assert offsets == list(range(1, reached + 1)) or not found.get("was_recovering")
    following = [offset for offset, _ in await wire.heard(count - reached)]
    assert following == list(range(reached + 1, count + 1))
    assert wire.pushes.empty()
