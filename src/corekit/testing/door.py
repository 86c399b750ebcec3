"""A way to a real server that a test can shut: what a lost network does to whoever is connected."""

import asyncio
import socket
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from corekit.testing.served import free_port


class Door:
    """Hands on what comes to the server behind it; `mode` makes it swallow everything, or answer nonsense."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._folder = "".join(parse_qs(self._to.query).get("host", []))  # where PostgreSQL has its socket
        self._port = free_port()
        self._listening: socket.socket | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._inside: set[asyncio.Task[None]] = set()
        self.mode: Literal["pass", "swallow", "garble"] = "pass"
        login = self._to.netloc.rpartition("@")[0]
        place = f"{login}@127.0.0.1:{self._port}" if login else f"127.0.0.1:{self._port}"
        self.url = self._to._replace(netloc=place, query="" if self._folder else self._to.query).geturl()

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shut it."""
        await self.shut()

    async def open(self) -> None:
        """Let connections in."""
        self._listening = socket.create_server(("127.0.0.1", self._port))
        self._listening.setblocking(False)
        # By hand: an `asyncio.Server` that is closed while it lets somebody in keeps that socket open, and silent.
        asyncio.get_running_loop().add_reader(self._listening, self._let_in, self._listening)

    async def shut(self) -> None:
        """Cut all connections and let nobody in."""
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        if self._inside:
            await asyncio.wait(self._inside, timeout=5)

    def _let_in(self, listening: socket.socket) -> None:
        try:
            entered, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # who knocked has left
            return
        task = asyncio.create_task(self._enter(entered))
        self._inside.add(task)
        task.add_done_callback(self._inside.discard)

    async def _enter(self, entered: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=entered)
        self._writers.append(writer)
        try:
            inside, out = await self._reach()
        except OSError:  # nobody is behind it
            writer.transport.abort()
            return
        self._writers.append(out)
        if self._listening is None or writer.is_closing():  # it was shut meanwhile
            writer.transport.abort()
            out.transport.abort()
            return
        back = asyncio.create_task(self._carry(inside, writer))
        await self._carry(reader, out)
        back.cancel()  # perhaps before it began: it closes nothing then
        writer.close()
        await asyncio.wait([back])

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._folder:
            return await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._to.port or 5432}")
        return await asyncio.open_connection(self._to.hostname, self._to.port)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if self.mode == "pass":
                    writer.write(data)
                elif self.mode == "garble":
                    writer.write(b"<html>\r\n")
        except OSError:
            pass
        finally:
            writer.close()
