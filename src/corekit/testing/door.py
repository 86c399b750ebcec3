"""A way to a real server that a test can shut: what a lost network does to whoever is connected."""

import asyncio
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from corekit.testing.served import free_port


class Door:
    """Hands on what comes to the server behind it; `mode` makes it swallow everything, or answer nonsense."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._folder = "".join(parse_qs(self._to.query).get("host", []))  # where PostgreSQL has its socket
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
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
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self._port)

    async def shut(self) -> None:
        """Cut all connections and let nobody in."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.sleep(0.01)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._folder:
            inside, out = await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._to.port or 5432}")
        else:
            inside, out = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers += [writer, out]
        back = asyncio.create_task(self._carry(inside, writer))
        await self._carry(reader, out)
        back.cancel()

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
