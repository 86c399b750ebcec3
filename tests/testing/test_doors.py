"""Doors: what they hand on, and that they hold on to nobody."""

import asyncio
import contextlib
import gc
import socket

import pytest

from corekit.testing import Door, free_port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def test_a_shut_door_cuts_and_an_open_one_hands_on() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Door(f"http://127.0.0.1:{port}") as door:
            place = ("127.0.0.1", int(door.url.rpartition(":")[2]))
            reader, writer = await asyncio.open_connection(*place)
            writer.write(b"hello")
            assert await reader.read(100) == b"hello"
            await door.shut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(*place)
            await door.open()
            reader, writer = await asyncio.open_connection(*place)
            writer.write(b"again")
            assert await reader.read(100) == b"again"
            writer.close()


async def test_where_nobody_is_behind_it_the_door_hangs_up() -> None:
    async with Door(f"http://127.0.0.1:{free_port()}") as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()


async def test_who_goes_at_once_is_not_held() -> None:
    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        Door(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as door,
    ):
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        await asyncio.sleep(0.05)
    gc.collect()  # an unclosed transport would warn, and warnings are errors here


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_let_in_while_it_is_shut_is_cut_too(turns: int) -> None:
    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        Door(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as door,
    ):
        with socket.create_connection(("127.0.0.1", int(door.url.rpartition(":")[2]))) as visitor:
            visitor.setblocking(False)
            for _ in range(turns):
                await asyncio.sleep(0)
            await door.shut()
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(visitor, 1), 5) == b""
    gc.collect()
