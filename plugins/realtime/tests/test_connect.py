"""Who gets in, for how long, and what ends a connection."""

import asyncio
from uuid import uuid4

import pytest
from realtime_town import Serve, room, signed_in, usr

from corekit import Actor
from corekit.contracts.auth import Denied, EndReason, SessionEnded
from corekit.contracts.realtime import Online, Realtime
from corekit.events import emit


async def test_a_token_opens_a_connection(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice", name="js", data={"a": 1})
        assert wire.hello["ping"] == 25
        assert wire.hello["pong"] is True
        assert wire.hello["data"] == {"hello": {"a": 1}}
        assert "expires" not in wire.hello
        own = wire.hello["subs"][f"user:{usr('alice')}"]
        assert own["recoverable"] is True
        assert own["epoch"] == wire.hello["node"]


@pytest.mark.parametrize("token", ["", "nobody", "x" * 9000])
async def test_who_is_not_known_is_sent_away(served: Serve, token: str) -> None:
    async with served() as town:
        wire = await town.open()
        await wire.ask(connect={"token": token})
        assert await wire.closed() == 3500


async def test_a_refused_token_is_the_end_and_an_expired_one_is_not(served_once: Serve) -> None:
    async with served_once() as town:
        town.town.tokens |= {"old": Denied("expired"), "stolen": Denied("revoked"), "banned": Denied("banned")}
        wire = await town.open()
        reply = await wire.ask(connect={"token": "old"})
        assert reply["error"] == {"code": 109, "message": "token expired"}
        assert "connect" in await wire.ask(connect={"token": "alice"}), "a fresh token works on the same socket"
        for token in ("stolen", "banned"):
            wire = await town.open()
            await wire.ask(connect={"token": token})
            assert await wire.closed() == 3500


async def test_a_token_is_read_nowhere_but_in_the_command(served_once: Serve) -> None:
    async with served_once() as town:
        path = "/connection/websocket?token=alice&access_token=alice&cf_connect=%7B%22token%22%3A%22alice%22%7D"
        headers = {"Authorization": "Bearer alice", "Cookie": "token=alice; sb-access-token=alice"}
        wire = await town.open(path=path, additional_headers=headers)
        await wire.ask(connect={"headers": {"Authorization": "Bearer alice"}})
        assert await wire.closed() == 3500


@pytest.mark.parametrize(
    "frame",
    [
        '{"id":1,"subscribe":{"channel":"room:x"}}',
        '{"id":1,"rpc":{"method":"say"}}',
        '{"send":{"data":1}}',
        "{}",
        '{"connect":{"token":"alice"}}',
        '{"id":1}',
        '{"id":1,"connect":{"token":"alice"},"ping":{}}',
    ],
)
async def test_the_first_command_is_connect(served_once: Serve, frame: str | bytes) -> None:
    async with served_once() as town:
        wire = await town.open()
        await wire.socket.send(frame)
        assert await wire.closed() == 3501


async def test_a_second_connect_is_malformed(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        await wire.ask(connect={"token": "alice"})
        assert await wire.closed() == 3501


async def test_who_says_nothing_is_stale(served: Serve) -> None:
    async with served(stale=0.1) as town:
        wire = await town.open()
        assert await wire.closed() == 3502


async def test_a_plugin_can_turn_somebody_away(served_once: Serve) -> None:
    async with served_once() as town:
        town.town.unwelcome.add("spy")
        wire = await town.open("alice", name="spy")
        assert await wire.closed() == 3507


async def test_plugins_add_server_side_subscriptions(served: Serve) -> None:
    async with served() as town:
        board = room("news", "board")
        town.town.also = (board, "no:such")
        await town.town.tell(board, b'"first"')
        wire = await town.open("alice")
        assert wire.hello["subs"][board]["offset"] == 1
        assert "no:such" not in wire.hello["subs"]
        await town.town.tell(board, b'"second"')
        assert await wire.heard(1) == [(2, "second")]
        assert (await wire.subscribe(board))["code"] == 105
        town.town.also = ()
        assert (await (await town.open("bob")).subscribe(board))["code"] == 103


async def test_a_silent_client_is_closed_and_one_that_answers_stays(served: Serve) -> None:
    async with served(ping=1.0, pong_timeout=0.9) as town:
        loud, silent = await town.open("alice"), await town.open("bob")
        silent.pongs = False
        assert await silent.closed() == 3012
        await asyncio.sleep(1.5)
        assert loud.code is None
        assert loud.pings >= 2


async def test_a_client_may_ping_too(served_once: Serve) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        assert await wire.ask(ping={}) == {"id": 2, "ping": {}}
        await wire.socket.send('{"send":{"data":{"anything":1}}}')
        assert "ping" in await wire.ask(ping={})


async def test_a_connection_expires_after_its_grace_unless_it_is_refreshed(served: Serve) -> None:
    async with served(ping=1.0, pong_timeout=0.9) as town:
        town.town.tokens["alice"] = signed_in(town.kit, "alice", seconds=60)
        town.town.tokens["bob"] = signed_in(town.kit, "bob", seconds=60)
        alice, bob = await town.open("alice"), await town.open("bob")
        assert (alice.hello["expires"], alice.hello["ttl"]) == (True, 60)
        town.clock.move(80)
        town.town.tokens["alice2"] = signed_in(town.kit, "alice", seconds=60)
        refreshed = (await alice.ask(refresh={"token": "alice2"}))["refresh"]
        assert (refreshed["expires"], refreshed["ttl"]) == (True, 60)
        assert bob.code is None, "within the grace"
        town.clock.move(6)
        assert await bob.closed() == 3005
        assert alice.code is None


async def test_refresh_takes_no_other_person_and_no_bad_token(served_once: Serve) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        town.town.tokens["old"] = Denied("expired")
        assert (await wire.ask(refresh={"token": "old"}))["error"]["code"] == 109
        await wire.ask(refresh={"token": "bob"})
        assert await wire.closed() == 3500
        wire = await town.open("alice")
        await wire.ask(refresh={"token": "nobody"})
        assert await wire.closed() == 3500


@pytest.mark.parametrize(("reason", "code"), [("logout", 3500), ("global", 3500), ("ban", 3503), ("delete", 3503)])
async def test_the_end_of_a_sign_in_closes_its_sockets(served_once: Serve, reason: EndReason, code: int) -> None:
    async with served_once() as town:
        ended, other = uuid4(), uuid4()
        town.town.tokens["a1"] = signed_in(town.kit, "alice", session=ended)
        town.town.tokens["a2"] = signed_in(town.kit, "alice", session=other)
        gone, stays = await town.open("a1"), await town.open("a2")
        async with town.kit.context(Actor.system("town")) as ctx:
            await emit(ctx, SessionEnded(user_id=Actor("alice").id, session_id=ended, reason=reason))
        assert await gone.closed() == code
        assert "ping" in await stays.ask(ping={})


async def test_a_lost_revocation_is_noticed_by_asking_again(served_once: Serve) -> None:
    async with served_once(reauthorise=0.1) as town:
        alice, bob = await town.open("alice"), await town.open("bob")
        channel = room("one")
        await alice.subscribe(channel)
        await bob.subscribe(channel)
        town.town.barred.add((Actor("bob").id, channel))
        assert (await bob.push())["unsubscribe"] == {"code": 2000, "reason": "unsubscribed"}
        town.town.tokens["alice"] = Denied("revoked")
        assert await alice.closed() == 3500
        assert bob.code is None


async def test_asking_again_forgives_an_expired_token_and_a_lost_database(served_once: Serve) -> None:
    async with served_once(reauthorise=0.05) as town:
        alice = await town.open("alice")
        town.town.tokens["alice"] = Denied("expired")
        await asyncio.sleep(0.2)
        assert "ping" in await alice.ask(ping={})


async def test_a_user_has_so_many_connections_and_no_more(served_once: Serve) -> None:
    async with served_once(connections_per_user=2) as town:
        wires = [await town.open("alice") for _ in range(3)]
        assert await wires[2].closed() == 3504
        assert wires[0].code is None
        assert (await town.open("bob")).hello["client"]
        alice, dave = Actor("alice").id, Actor("dave").id
        assert await town.kit.get(Realtime).online([alice, dave]) == {alice: Online(devices=2)}


async def test_or_the_oldest_makes_room(served_once: Serve) -> None:
    async with served_once(connections_per_user=2, limit_policy="oldest") as town:
        wires = [await town.open("alice") for _ in range(3)]
        assert await wires[0].closed() == 3504
        assert wires[2].hello["client"]


async def test_what_belongs_to_a_user_is_recovered_from_memory(served: Serve) -> None:
    async with served() as town:
        realtime, own = town.kit.get(Realtime), f"user:{usr('alice')}"
        first = await town.open("alice")
        before = first.hello["subs"][own]
        await realtime.publish(own, b'{"n":1}')
        ((offset, data),) = await first.heard(1)
        assert data == {"n": 1}
        await first.close()
        await realtime.publish(own, b'{"n":2}')
        await realtime.publish(own, b'{"n":3}')
        position = {"recover": True, "epoch": before["epoch"], "offset": offset}
        again = await town.open("alice", subs={own: position})
        found = again.hello["subs"][own]
        assert found["recovered"] is True
        assert [entry["data"]["n"] for entry in found["publications"]] == [2, 3]
        other = await town.open("alice", subs={own: position | {"epoch": "another node"}})
        assert "recovered" not in other.hello["subs"][own]
        assert other.hello["subs"][own]["was_recovering"] is True
        kept = (await again.ask(history={"channel": own, "limit": 10}))["history"]["publications"]
        assert [entry["data"]["n"] for entry in kept] == [1, 2, 3]


async def test_disconnect_closes_all_of_a_user(served: Serve) -> None:
    async with served() as town:
        wires = [await town.open("alice"), await town.open("alice"), await town.open("bob")]
        await town.kit.get(Realtime).disconnect(Actor("alice").id)
        assert [await wire.closed() for wire in wires[:2]] == [3503, 3503]
        assert "ping" in await wires[2].ask(ping={})
