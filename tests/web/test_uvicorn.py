"""Serving with uvicorn: the transport in the scope, quiet logs, and a stop that drains."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from corekit.testing import serve
from corekit.web.uvicorn import EXTENSION, Server, server_config

SERVER = """
import asyncio, socket, sys
from corekit.web.uvicorn import Server, server_config

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})

async def drain():
    print("draining", flush=True)
    await asyncio.sleep(float(sys.argv[1]))
    print("drained", flush=True)

async def main():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        await Server(server_config(app), drain=drain).serve(sockets=[listener])
    print("stopped", flush=True)

asyncio.run(main())
"""


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Write a frame past ASGI, then echo what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    scope["extensions"][EXTENSION].write(b"\x81\x03raw")
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def test_frames_written_into_the_transport_and_through_asgi_come_in_order() -> None:
    async with serve(echo, lifespan="off") as url, connect(url.replace("http", "ws"), proxy=None) as wire:
        assert await wire.recv() == "raw"
        await wire.send("one")
        assert await wire.recv() == "one"


async def test_a_refused_handshake_and_bytes_that_are_no_text_log_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/echo":
            await echo(scope, receive, send)
            return
        await send({"type": "websocket.http.response.start", "status": 429, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"later"})

    async with serve(refuse, lifespan="off") as url:
        with pytest.raises(InvalidStatus, match="429"):
            await connect(url.replace("http", "ws"), proxy=None)
        async with connect(url.replace("http", "ws") + "/echo", proxy=None) as wire:
            await wire.recv()
            await wire.send(b"\xff", text=True)
            with pytest.raises(ConnectionClosed):
                await wire.recv()
            assert wire.close_code == 1007
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_request_that_is_no_handshake_is_refused() -> None:
    async with serve(echo, lifespan="off") as url, httpx.AsyncClient(base_url=url) as http:
        answer = await http.get("/", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert answer.status_code in {400, 426}


def test_the_configuration_is_the_measured_one_and_says_nothing_by_itself() -> None:
    config = server_config(echo, port=1)
    assert (config.ws, config.ws_max_size) == ("corekit.web.uvicorn:Protocol", 65_536)
    assert (config.ws_per_message_deflate, config.ws_ping_interval) == (False, None)
    assert (config.log_config, config.access_log, config.port) == (None, False, 1)


@contextmanager
def running(seconds: float) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, "-c", SERVER, str(seconds)]
    environment = os.environ | {"PYTHONPATH": str(Path("src").resolve())}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def reached(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        for _ in range(200):
            try:
                return (await http.get(url)).text == "here"
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_while_requests_are_answered_and_then_stops(number: signal.Signals) -> None:
    with running(0.5) as (process, url):
        assert await reached(url)
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        assert await reached(url), "requests are answered during the drain"
        assert process.stdout.read() == "drained\nstopped\n", "nothing is printed by the server itself"
        assert process.wait(5) == 0


async def test_who_leaves_takes_no_more_connections_and_sends_those_it_has_elsewhere() -> None:
    async def here(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})

    async def drain() -> None:
        drained.set()

    drained = asyncio.Event()
    server = Server(server_config(here), drain=drain)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.socket(fileno=os.dup(listener.fileno())) as others:  # as another process has it
            url = f"http://127.0.0.1:{others.getsockname()[1]}"
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await server.accepting.wait()
            async with httpx.AsyncClient(base_url=url) as kept:
                assert "connection" not in (await kept.get("/")).headers
                server.leave()
                assert (await kept.get("/")).headers["connection"] == "close"
                with pytest.raises(httpx.ReadTimeout):  # it waits for another process to accept
                    await kept.get("/", timeout=0.2)
                await serving
            assert drained.is_set()
            others.settimeout(1)
            others.accept()[0].close()


async def test_a_second_signal_stops_at_once() -> None:
    with running(60) as (process, url):
        assert await reached(url)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(5) == 0
