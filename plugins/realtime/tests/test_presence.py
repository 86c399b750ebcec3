"""Who is there."""

import asyncio

from realtime_town import Serve, room, usr

from corekit.contracts.realtime import Realtime

ROOM, SQUARE = room("one"), room("one", "square")


async def test_presence_and_its_counts(served: Serve) -> None:
    async with served() as town:
        alice, also, bob = await town.open("alice"), await town.open("alice"), await town.open("bob")
        assert (await alice.ask(presence={"channel": ROOM}))["error"]["code"] == 103
        for wire in (alice, also, bob):
            await wire.subscribe(ROOM)
        found = (await bob.ask(presence={"channel": ROOM}))["presence"]["presence"]
        assert set(found) == {wire.hello["client"] for wire in (alice, also, bob)}
        assert found[bob.hello["client"]]["user"] == usr("bob")
        assert found[bob.hello["client"]]["conn_info"] == {"from": "town"}
        stats = await bob.ask(presence_stats={"channel": ROOM})
        assert stats["presence_stats"] == {"num_clients": 3, "num_users": 2}
        seen = await town.kit.get(Realtime).presence(ROOM)
        assert (len(seen.clients), seen.users) == (3, 2)
        own = f"user:{usr('alice')}"
        assert (await alice.ask(presence={"channel": own}))["error"]["code"] == 108
        assert (await alice.ask(presence={"channel": "no:such"}))["error"]["code"] == 102


async def test_a_crowd_is_counted_and_not_listed(served_once: Serve) -> None:
    async with served_once(presence_max=2) as town:
        wires = [await town.open(name) for name in ("alice", "bob", "carol")]
        for wire in wires:
            await wire.subscribe(SQUARE)
        assert (await wires[0].ask(presence={"channel": SQUARE}))["error"]["code"] == 106
        assert (await wires[0].ask(presence_stats={"channel": SQUARE}))["presence_stats"]["num_clients"] == 3


async def test_joins_and_leaves_are_told_to_those_who_asked(served: Serve) -> None:
    async with served(join_leave_every=0.02) as town:
        alice, bob, carol = await town.open("alice"), await town.open("bob"), await town.open("carol")
        await alice.subscribe(SQUARE, join_leave=True)
        assert (await alice.push())["join"]["info"]["user"] == usr("alice")
        await carol.subscribe(SQUARE)
        assert (await alice.push())["join"]["info"]["user"] == usr("carol")
        await bob.subscribe(SQUARE)
        assert (await alice.push())["join"]["info"]["user"] == usr("bob")
        await bob.ask(unsubscribe={"channel": SQUARE})
        assert (await alice.push())["leave"]["info"]["client"] == bob.hello["client"]
        assert carol.pushes.empty()


async def test_a_reconnect_shows_no_flap(served_once: Serve) -> None:
    async with served_once(join_leave_every=0.02, leave_delay=1.2, ping=1.0, pong_timeout=0.9) as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        await alice.subscribe(SQUARE, join_leave=True)
        await bob.subscribe(SQUARE)
        while (await alice.push()).get("join", {}).get("info", {}).get("user") != usr("bob"):
            pass
        await bob.close()
        await asyncio.sleep(0.1)
        assert usr("bob") in {info.user for info in (await town.kit.get(Realtime).presence(SQUARE)).clients.values()}
        again = await town.open("bob")
        await again.subscribe(SQUARE)
        pushes = [await alice.push(), await alice.push()]
        assert {
            kind: push[kind]["info"]["client"] for push in pushes for kind in ("join", "leave") if kind in push
        } == {
            "leave": bob.hello["client"],
            "join": again.hello["client"],
        }
        await again.close()
        assert (await alice.push())["leave"]["info"]["client"] == again.hello["client"], "after the delay"
        assert usr("bob") not in {
            info.user for info in (await town.kit.get(Realtime).presence(SQUARE)).clients.values()
        }


async def test_coming_and_going_at_once_is_not_worth_telling(served_once: Serve) -> None:
    async with served_once(join_leave_every=1.0) as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        await alice.subscribe(SQUARE, join_leave=True)
        assert "join" in await alice.push()
        await bob.subscribe(SQUARE)
        await bob.ask(unsubscribe={"channel": SQUARE})
        await asyncio.sleep(1.5)
        assert alice.pushes.empty()
