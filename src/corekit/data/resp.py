"""One connection that speaks RESP2, the protocol of Redis and Valkey: commands go at once, answers come in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

_NOTHING = object()


class RedisRefused(Exception):
    """What the server answered instead; `code` is its first word, like WRONGPASS or OOM."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Garbled(Exception):
    """The server speaks something else."""


class Line(asyncio.Protocol):
    """Carries many commands at once; where one waits longer than `timeout` seconds, all that wait fail.

    `heard` gets what a channel that was subscribed to brings (its name and the message), `lost` hears of the end.
    """

    def __init__(
        self,
        timeout: float,
        *,
        heard: Callable[[bytes, bytes], None] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        import hiredis  # noqa: PLC0415  # an extra

        self._timeout = timeout
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._pack: Any = hiredis.pack_command  # its stub means a tuple of any length
        self._reader = hiredis.Reader(protocolError=Garbled, replyError=RedisRefused, notEnoughData=_NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, *command: str | bytes | int) -> "asyncio.Future[Any]":
        """Send a command; an error that the server answers is the future's result, a lost connection its exception."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        deadline = self._loop.time() + self._timeout
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((future, deadline))
        self._transport.write(self._pack(command))
        if self._watch is None:
            self._watch = self._loop.call_at(deadline, self._late)
        return future

    def close(self, error: Exception | None = None) -> None:
        """Hang up; whoever waits is told why."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error or ConnectionResetError("the connection was lost"))
        if transport is not None and self._lost is not None:
            self._lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what commands are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give each answer to whoever waits longest; somebody who was cancelled has an answer too."""
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not _NOTHING:
                if self._heard is not None and isinstance(answer, list) and answer[0] == b"message":
                    self._heard(answer[1], answer[2])
                    continue
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_result(answer)
        except (Garbled, IndexError):  # or it answers what nobody asked
            self.close(ConnectionResetError("the server does not speak RESP2"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.close(exc if isinstance(exc, OSError) else None)

    def _late(self) -> None:
        """Hang up if the first in the queue is late; a timer per command would cost more than the command."""
        self._watch = None
        if not self._waiting:
            return
        deadline = self._waiting[0][1]
        if deadline > self._loop.time():
            self._watch = self._loop.call_at(deadline, self._late)
        else:
            self.close(TimeoutError(f"no answer within {self._timeout} s"))
