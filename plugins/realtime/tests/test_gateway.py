"""The handshake, what is no protocol at all, the drain, and other hosts."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from realtime_town import Serve, Served, TownPlugin, Wire, room

from corekit import Corekit
from corekit.contracts.realtime import Realtime
from corekit.testing import make_kit, serve
from corekit.web import asgi, beside
from corekit_realtime import RealtimePlugin
from corekit_realtime.codec_json import JsonCodec
from corekit_realtime.codes import Ending

ROOM = room("one")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def denied(town: Served, **headers: str) -> tuple[int, dict, str | None]:
    """Return status, body and Retry-After of a refused handshake."""
    async with httpx.AsyncClient(base_url=town.url) as http:
        response = await http.get("/connection/websocket", headers=UPGRADE | headers)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    return response.status_code, response.json(), response.headers.get("retry-after")


async def test_pages_of_strangers_are_kept_out(served: Serve) -> None:
    async with served(origins=("https://app.example",)) as town:
        status, body, _ = await denied(town, Origin="https://evil.example")
        assert (status, body["code"]) == (403, 103)
        for origin in ("https://app.example", "HTTPS://APP.EXAMPLE", town.url, None):
            assert (await town.open("alice", origin=origin)).hello["client"]
    async with served(origins=("*",)) as town:
        assert (await town.open("alice", origin="https://anywhere.example")).hello["client"]


async def test_too_many_handshakes_from_one_address(served: Serve) -> None:
    async with served(handshakes_ip_rate=1, handshakes_ip_burst=2) as town:
        for _ in range(2):
            await town.open("alice")
        status, body, retry_after = await denied(town)
        assert (status, body["code"]) == (429, 111)
        assert int(retry_after or 0) >= 1


async def test_too_many_connections(served: Serve) -> None:
    async with served(connections_max=1) as town:
        wire = await town.open("alice")
        assert (await denied(town))[0] == 503
        await wire.close()
        async with asyncio.timeout(10):
            while len(town.node.connections):
                await asyncio.sleep(0.01)
        assert (await town.open("alice")).hello["client"]


async def test_a_drain_lets_nobody_in_finishes_calls_and_spreads_the_closes(served: Serve) -> None:
    async with served() as town:
        wires = [await town.open(name) for name in ("alice", "bob", "carol", "dave")]
        town.town.methods.gate.clear()
        call = wires[3].begin(rpc={"method": "wait", "data": {"text": "x"}})
        while not town.town.methods.running:
            await asyncio.sleep(0.01)
        draining = asyncio.create_task(town.kit.drain(1.0))
        await asyncio.sleep(0)
        assert (await denied(town))[0] == 503
        assert [await wire.closed() for wire in wires[:3]] == [3001, 3001, 3001]
        town.town.methods.gate.set()
        assert (await call)["rpc"]["data"] == {"text": "x"}
        assert await wires[3].closed() == 3001
        await draining
        assert not len(town.node.connections)


async def test_a_plain_request_is_told_what_this_is(served_once: Serve) -> None:
    async with served_once() as town, httpx.AsyncClient(base_url=town.url) as http:
        answer = await http.get("/connection/websocket")
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:corekit:problem:upgrade-required"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "{",
        "[]",
        "null",
        '{"id":-1}',
        '{"id":4294967296,"ping":{}}',
        '{"id":"1","ping":{}}',
        '{"id":2,"ping":{}}\n{',
        '{"id":2,"subscribe":{"channel":5}}',
        '{"id":2,"subscribe":{"offset":-1}}',
        '{"id":2,"rpc":{"method":"say","data":}}',
        '{"id":2,"rpc":{"method":"say","data":' + "[" * 30_000 + "}}",
        b"\x00\xff\xfe",
        '{"id":2}',
        '{"id":2,"ping":{},"send":{}}',
    ],
)
async def test_garbage_ends_the_connection(served_json: Serve, frame: str | bytes) -> None:
    async with served_json() as town:
        wire = await town.open("alice")
        await wire.socket.send(frame)
        assert await wire.closed() == 3501
        assert "ping" in await (await town.open("bob")).ask(ping={})


async def test_unknown_fields_are_left_alone(served_once: Serve) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        assert "ping" in await wire.ask(ping={"new": 1}, later={"x": []})


async def test_a_frame_has_a_size(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        await wire.socket.send('{"id":2,"rpc":{"method":"say","data":{"text":"' + "x" * 70_000 + '"}}}')
        assert await wire.closed() == 1009


async def test_fragments_are_put_together(served_json: Serve) -> None:
    async with served_json() as town:
        wire = await town.open("alice")
        wire._replies[9] = future = asyncio.get_running_loop().create_future()
        await wire.socket.send(['{"id":9,', '"ping"', ":{}}"])
        assert (await asyncio.wait_for(future, 2)) == {"id": 9, "ping": {}}


async def test_text_that_is_no_utf8_is_no_traceback(served_once: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        await wire.socket.send(b"\xff\xff", text=True)
        assert await wire.closed() == 1007
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_bytes_are_a_traceback(frame: str | bytes) -> None:
    try:
        commands = JsonCodec().decode(frame)
    except Ending as ending:
        commands, code = [], ending.close.code
    else:
        code = 3501
    assert code == 3501
    assert all(command.id >= 0 for command in commands)


async def test_a_handshake_is_refused_by_close_where_the_server_cannot_answer(served_once: Serve) -> None:
    async with served_once(connections_max=0) as town:
        gateway = next(plugin for plugin in town.kit.plugins if plugin.name == "realtime")._gateway
        sent = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "websocket", "headers": [], "extensions": None, "subprotocols": []}
        await gateway.serve(scope, receive, send, town.kit.caller())
        assert [message["type"] for message in sent] == ["websocket.close"]


async def test_mounted_in_fastapi_under_a_path(write_path: str) -> None:
    town = TownPlugin()
    async with make_kit([RealtimePlugin(), town]) as kit:
        host = FastAPI()
        host.mount("/deep/corekit", asgi(kit))
        async with serve(host, ws=write_path) as url:
            wire = await Wire.open(url, "alice", path="/deep/corekit/connection/websocket")
            await wire.subscribe(ROOM)
            await town.tell(ROOM, b"1")
            assert await wire.heard(1) == [(1, 1)]
            await wire.close()


async def test_beside_another_application(write_path: str, tmp_path: Path) -> None:
    async def host(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    kit = Corekit([RealtimePlugin(), TownPlugin()], data_dir=tmp_path)
    async with serve(beside(host, kit), ws=write_path) as url:
        wire = await Wire.open(url, "alice", path="/corekit/connection/websocket")
        await wire.subscribe(room("one", "square"))
        await kit.get(Realtime).publish(room("one", "square"), b"1")
        assert await wire.heard(1) == [(0, 1)]
        await wire.close()
