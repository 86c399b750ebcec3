"""The bus over PostgreSQL's LISTEN and NOTIFY, on a connection of its own.

A notification holds at most 8,000 bytes, so a longer message goes in parts, which arrive in their order: all of one
message are sent in one statement. Each has a number, because PostgreSQL delivers two equal ones of a transaction once.
"""

from collections.abc import Iterable
from typing import Any

from corekit.data import Database
from corekit_realtime.bus.remote import Batch, Heard, Link, LinkLost, Lost, RemoteBus

PART = 7_900  # bytes
_WITHIN = 5.0  # seconds for one statement
_LAST, _MORE = ".", "+"
_SEND = "SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (c, p, n) ORDER BY n"


def postgresql_bus(database: Database) -> RemoteBus:
    """Make the bus of the kit's own database."""
    from corekit.data.listening import ERRORS, listening_connection  # noqa: PLC0415  # asyncpg is an extra

    async def dial(heard: Heard, lost: Lost) -> Link:
        try:
            connection = await listening_connection(database)
        except ERRORS as error:
            raise LinkLost(type(error).__name__) from None
        connection.add_termination_listener(lambda _: lost())
        return PostgresqlLink(connection, f"corekit_realtime_{database.settings.schema}_", heard, ERRORS)

    return RemoteBus("postgresql", dial)


class PostgresqlLink(Link):
    """One session; what comes from itself is left out."""

    def __init__(self, connection: Any, prefix: str, heard: Heard, errors: tuple[type[Exception], ...]) -> None:
        self._connection = connection
        self._errors = errors
        self._prefix = prefix
        self._heard = heard
        self._own = connection.get_server_pid()
        self._parts: dict[int, list[str]] = {}

    async def listen(self, shards: Iterable[int]) -> None:
        """LISTEN to one channel per shard."""
        try:
            for shard in shards:
                await self._connection.add_listener(f"{self._prefix}{shard}", self._hear)
        except self._errors as error:
            raise LinkLost(type(error).__name__) from None

    async def send(self, batch: Batch) -> None:
        """Notify of all of it in one statement, and so in one transaction of nobody else's."""
        channels: list[str] = []
        payloads: list[str] = []
        for shard, message in batch:
            for part in parts(message):
                channels.append(f"{self._prefix}{shard}")
                payloads.append(f"{part[0]}{len(payloads)}:{part[1:]}")
        await self._execute(_SEND, channels, payloads)

    async def ping(self) -> None:
        """Ask for nothing."""
        await self._execute("SELECT 1")

    async def close(self) -> None:
        """Hang up; a server that is gone would not answer."""
        self._connection.terminate()

    async def _execute(self, statement: str, *arguments: object) -> None:
        try:
            await self._connection.execute(statement, *arguments, timeout=_WITHIN)
        except self._errors as error:
            raise LinkLost(type(error).__name__) from None

    def _hear(self, _: object, process: int, channel: object, payload: object) -> None:
        if process == self._own:
            return
        head, _, text = str(payload).partition(":")
        if head[:1] == _MORE:
            self._parts.setdefault(process, []).append(text)
            return
        whole = "".join((*self._parts.pop(process, ()), text))
        self._heard(int(str(channel).removeprefix(self._prefix)), whole.encode())


def parts(message: bytes) -> Iterable[str]:
    """Cut a message between characters; all parts but the last say that more follows."""
    start = 0
    while len(message) - start > PART:
        end = start + PART
        while message[end] & 0xC0 == 0x80:  # noqa: PLR2004  # in the middle of a character
            end -= 1
        yield _MORE + message[start:end].decode()
        start = end
    yield _LAST + message[start:].decode()
