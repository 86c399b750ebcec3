"""A load generator's HTTP: one connection kept alive, one request at a time, as little work per request as can be."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any


class Connection:
    """Asks a server on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, *, seconds: float = 60) -> "Connection":
        """Connect as soon as the server listens."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return cls(*await asyncio.open_connection("127.0.0.1", port))
                except OSError:
                    await asyncio.sleep(0.05)

    async def get(self, path: str, bearer: str = "") -> tuple[int, bytes]:
        """Send a GET; return the status and the body."""
        return await self._ask("GET", path, [f"Authorization: Bearer {bearer}"] if bearer else [])

    async def post(
        self, path: str, body: dict[str, Any], *, form: str = "", headers: Sequence[str] = ()
    ) -> tuple[int, bytes]:
        """Post JSON, or a form that is encoded already."""
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        return await self._ask("POST", path, [f"Content-Type: {kind}", *headers], (form or json.dumps(body)).encode())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _ask(self, method: str, path: str, headers: Sequence[str], body: bytes = b"") -> tuple[int, bytes]:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers, "", ""]
        self._writer.write("\r\n".join(lines).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        return int(head[9:12]), await self._reader.readexactly(int(length or 0))
