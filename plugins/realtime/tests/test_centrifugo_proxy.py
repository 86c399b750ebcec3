"""What Centrifugo's proxy asks, over HTTP; requests and answers are held to its published messages."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from realtime_beside import HEADER, SECRET, BesideCentrifugo
from realtime_town import room, signed_in, usr

from corekit import Actor
from corekit.contracts.auth import Denied
from corekit.contracts.realtime import Grant

NAMES = ("connect", "refresh", "subscribe", "publish", "rpc", "sub_refresh")


async def test_who_connects_is_known_by_the_token_in_their_data(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        answer = await town.ask("connect", data={"token": "alice", "theme": "dark"}, name="app", version="1")
        now = town.clock.now().timestamp()
        assert answer["result"] == {
            "user": usr("alice"),
            "meta": {"token": "alice"},
            "expire_at": int(now) + 60,
            "info": {"from": "town"},
            "data": {"hello": {"theme": "dark"}},
            "subs": {f"user:{usr('alice')}": {}},
        }


async def test_who_connects_is_known_by_the_header_that_centrifugo_hands_on(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        town.http.headers["Authorization"] = "Bearer bob"
        assert (await town.ask("connect"))["result"]["user"] == usr("bob")
        assert (await town.ask("connect", data={"x": 1}))["result"]["data"] == {"hello": {"x": 1}}
        assert (await town.ask("connect", data={"token": "carol"}))["result"]["user"] == usr("carol")


async def test_plugins_add_subscriptions_and_misspelt_ones_are_left_out(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        town.town.also = (room("a", "board"), "board:nonsense", "nowhere:x")
        answer = await town.ask("connect", data={"token": "alice"})
        assert set(answer["result"]["subs"]) == {f"user:{usr('alice')}", room("a", "board")}


async def test_who_may_not_connect_is_told_as_by_the_gateway(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        town.town.tokens |= {"old": Denied("expired"), "gone": Denied("revoked")}
        town.town.unwelcome.add("bad app")
        invalid = {"disconnect": {"code": 3500, "reason": "invalid token"}}
        assert await town.ask("connect") == invalid
        assert await town.ask("connect", data={"token": "nobody"}) == invalid
        assert await town.ask("connect", data={"token": ""}) == invalid
        assert await town.ask("connect", data={"token": "gone"}) == invalid
        assert await town.ask("connect", data={"token": "x" * 8193}) == invalid
        expired = {"disconnect": {"code": 3005, "reason": "expired"}}
        assert await town.ask("connect", data={"token": "old"}) == expired
        refused = await town.ask("connect", data={"token": "alice"}, name="bad app")
        assert refused == {"disconnect": {"code": 3507, "reason": "permission denied"}}


async def test_a_connection_stays_while_its_token_is_good(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(reauthorise=60.0) as town:
        now = int(town.clock.now().timestamp())
        assert await town.of("alice", "refresh") == {"result": {"expire_at": now + 60}}
        town.town.tokens["alice"] = signed_in(town.kit, "alice", seconds=30)
        assert await town.of("alice", "refresh") == {"result": {"expire_at": now + 30}}
        for denied in (Denied("revoked"), Denied("expired"), None, Actor("bob")):
            town.town.tokens["alice"] = denied
            assert await town.of("alice", "refresh") == {"result": {"expired": True}}


async def test_a_refresh_that_cannot_be_decided_throws_nobody_out(by_centrifugo: BesideCentrifugo) -> None:
    """Centrifugo gives a connection another minute where the answer is no HTTP 200."""
    async with by_centrifugo() as town:
        asked = {"client": "c1", "user": usr("alice"), "meta": {"token": "alice"}}

        async def broken(*_: Any) -> None:
            raise OSError("no database")

        town.kit.hooks.first = broken  # type: ignore[method-assign]
        for name in ("refresh", "sub_refresh"):
            answer = await town.http.post(f"/realtime/v1/centrifugo/{name}", json=asked | {"channel": room("a")})
            assert answer.status_code == 503


async def test_subscribing_asks_the_plugins(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(centrifugo_sub_refresh=600.0) as town:
        now = int(town.clock.now().timestamp())
        allowed = await town.of("alice", "subscribe", channel=room("a"))
        assert allowed == {"result": {"expire_at": now + 600}}
        town.town.grant = Grant(town.clock.now() + timedelta(seconds=7), {"role": "host"}, join_leave=False)
        assert (await town.of("alice", "subscribe", channel=room("a")))["result"] == {
            "expire_at": now + 7,
            "info": {"role": "host"},
            "override": {"force_push_join_leave": {"value": False}},
        }
        town.town.barred.add((Actor("alice").id, room("a")))
        denied = {"error": {"code": 103, "message": "permission denied"}}
        assert await town.of("alice", "subscribe", channel=room("a")) == denied
        assert await town.of("alice", "subscribe", channel=room("a", "board")) == denied
        assert await town.of("alice", "subscribe", channel=f"user:{usr('alice')}") == denied
        for spelling in ("room:x", room("a").upper(), f"room:{Actor('alice').id}", "nowhere:rom_1"):
            answer = await town.of("alice", "subscribe", channel=spelling)
            assert answer == {"error": {"code": 102, "message": "unknown channel"}}


async def test_the_cache_gives_only_what_a_plugin_says_that_all_may_see(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        assert "override" not in (await town.of("alice", "subscribe", channel=room("a")))["result"]
        town.town.grant = Grant(replay=True)
        recovered = {"force_recovery": {"value": True}}
        assert (await town.of("alice", "subscribe", channel=room("a")))["result"]["override"] == recovered
        assert "override" not in (await town.of("alice", "subscribe", channel=room("a", "square")))["result"]
        town.town.also = (room("a", "board"),)
        assert (await town.ask("connect", data={"token": "alice"}))["result"]["subs"][room("a", "board")] == {}


async def test_a_subscription_stays_while_the_plugins_allow_it(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(centrifugo_sub_refresh=600.0) as town:
        now = int(town.clock.now().timestamp())
        assert await town.of("alice", "sub_refresh", channel=room("a")) == {"result": {"expire_at": now + 600}}
        town.town.barred.add((Actor("alice").id, room("a")))
        assert await town.of("alice", "sub_refresh", channel=room("a")) == {"result": {"expired": True}}


async def test_only_who_connected_by_the_proxy_is_known(by_centrifugo: BesideCentrifugo) -> None:
    """Centrifugo may have taken a token itself, or hand on another's: neither speaks for anybody here."""
    async with by_centrifugo() as town:
        invalid = {"disconnect": {"code": 3500, "reason": "invalid token"}}
        for name, fields in (("subscribe", {"channel": room("a")}), ("rpc", {"method": "say", "data": {"text": "x"}})):
            assert await town.ask(name, user=usr("alice"), **fields) == invalid
            assert await town.ask(name, user=usr("alice"), meta={"token": "bob"}, **fields) == invalid
            assert await town.ask(name, meta={"token": "alice"}, **fields) == invalid
            assert await town.ask(name, user=usr("alice"), meta={}, **fields) == invalid


async def test_signals_are_asked_about_and_written_again(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(publish_rate=5) as town:
        square = room("a", "square")
        answer = await town.of("alice", "publish", channel=square, data={"typing": True, "n": [1, 2]})
        assert answer == {"result": {"data": {"typing": True, "n": [1, 2]}}}
        denied = {"error": {"code": 103, "message": "permission denied"}}
        assert await town.of("alice", "publish", channel=room("a"), data=1) == denied
        assert await town.of("alice", "publish", channel=square) == {"error": {"code": 107, "message": "bad request"}}
        town.town.barred.add((Actor("alice").id, square))
        assert await town.of("alice", "publish", channel=square, data=1) == denied
        for _ in range(2):
            await town.of("bob", "publish", channel=square, data=1)
        many = {"error": {"code": 111, "message": "too many requests", "temporary": True}}
        assert await town.of("bob", "publish", channel=square, data=1) == many
        assert "result" in await town.of("bob", "publish", channel=square, data=1, client="c2")


async def test_methods_answer(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        said = await town.of("alice", "rpc", method="say", data={"text": "hello"})
        assert said == {"result": {"data": {"text": "user hello"}}}
        looked = await town.of("alice", "rpc", method="look", data={"text": ""})
        assert looked == {"result": {"data": {"readonly": True}}}
        refusals = {"nothing": 104, "quarrel": 107, "stumble": 100}
        for method, code in refusals.items():
            answer = await town.of("alice", "rpc", method=method, data={"text": "x"})
            assert answer["error"]["code"] == code
        assert "secret" not in str(await town.of("alice", "rpc", method="quarrel", data={"text": "x"}))
        assert (await town.of("alice", "rpc", method="say"))["error"]["code"] == 107


async def test_an_address_cannot_connect_without_end(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(handshakes_ip_rate=2, handshakes_ip_burst=2) as town:
        answers = [await town.ask("connect", data={"token": "nobody"}) for _ in range(3)]
        many = {"error": {"code": 111, "message": "too many requests", "temporary": True}}
        assert [next(iter(one)) for one in answers] == ["disconnect", "disconnect", "error"]
        assert answers[2] == many
        town.clock.move(1)
        assert "result" in await town.ask("connect", data={"token": "alice"})


async def test_a_client_cannot_call_without_end(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(commands_rate=5, commands_burst=5) as town:
        answers = [await town.of("alice", "rpc", method="say", data={"text": "x"}) for _ in range(6)]
        assert [one.get("error", {}).get("code") for one in answers] == [None] * 5 + [111]
        town.clock.move(1)
        assert "result" in await town.of("alice", "rpc", method="say", data={"text": "x"})


@pytest.mark.parametrize("shown", [{}, {"X-Corekit-Proxy-Secret": ""}, {"X-Corekit-Proxy-Secret": SECRET + "x"}])
async def test_nobody_else_asks(by_centrifugo: BesideCentrifugo, shown: dict[str, str]) -> None:
    async with by_centrifugo() as town, httpx.AsyncClient(base_url=town.http.base_url, headers=shown) as http:
        for name in NAMES:
            asked = {"client": "c1", "user": usr("alice"), "meta": {"token": "alice"}, "data": {"token": "alice"}}
            answer = await http.post(f"/realtime/v1/centrifugo/{name}", json=asked)
            assert answer.status_code == 401
            assert SECRET not in answer.text


async def test_bodies_are_limited_and_must_be_requests(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(frame_max=1024) as town:
        for name in NAMES:
            path = f"/realtime/v1/centrifugo/{name}"
            assert (await town.http.post(path, content=b"x" * (1024 + 32_769))).status_code == 413
            for body in (
                b"",
                b"{",
                b"[]",
                b'{"client":1}',
                b'{"client":""}',
                b"[" * 5000,
                b'{"client":"' + b"\xff" * 9,
            ):
                assert (await town.http.post(path, content=body)).status_code == 422, (name, body)
            assert (await town.http.get(path)).status_code == 405


async def test_requests_of_newer_servers_are_read(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        asked = {"client": "c1", "data": {"token": "alice"}, "labels": {"a": "b"}, "something": [1]}
        answer = await town.http.post("/realtime/v1/centrifugo/connect", json=asked, headers=HEADER)
        assert answer.json()["result"]["user"] == usr("alice")


async def test_the_gateways_socket_is_not_served(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        assert (await town.http.get("/connection/websocket")).status_code == 404
