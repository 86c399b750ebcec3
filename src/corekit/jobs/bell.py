"""Waking workers of other processes on PostgreSQL: after the commit, on a connection of its own."""

import asyncio
from collections.abc import Callable

from corekit.data import Database
from corekit.data.listening import ERRORS, listening_connection
from corekit.watch.logs import get_logger

PAUSE = 0.05  # seconds: commits that come closer together ring once
AGAIN = 5.0  # seconds until a lost connection is opened again; meanwhile workers poll


class Bell:
    """Rings for commits of this process that left work, and hears the others; never in a transaction of anybody's."""

    def __init__(self, database: Database, heard: Callable[[], None]) -> None:
        self._database = database
        self._heard = heard
        self._channel = f"corekit_outbox_{database.settings.schema}"
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None]
        self._forget: Callable[[], None]

    async def start(self) -> None:
        """Listen, and wait for commits."""
        self._forget = self._database.on_wake(self._rung.set)
        self._task = asyncio.create_task(self._forever(), name="corekit-bell")

    async def stop(self) -> None:
        """End."""
        self._forget()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _forever(self) -> None:
        while True:
            try:
                await self._ring()
            except ERRORS as error:
                get_logger("corekit.jobs").warning("bell_lost", error=type(error).__name__)
                await asyncio.sleep(AGAIN)

    async def _ring(self) -> None:
        connection = await listening_connection(self._database)
        try:
            await connection.add_listener(self._channel, self._hear)
            self._heard()  # who rang before we listened
            while True:
                await self._rung.wait()
                self._rung.clear()
                await connection.execute("SELECT pg_notify($1, '')", self._channel)
                await asyncio.sleep(PAUSE)
        finally:
            connection.terminate()  # it holds nothing, and a server that is gone would not answer

    def _hear(self, connection: object, process: int, channel: str, payload: object) -> None:  # noqa: ARG002
        if process != getattr(connection, "get_server_pid", int)():
            self._heard()
