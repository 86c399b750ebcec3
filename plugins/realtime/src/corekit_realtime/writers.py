"""Getting bytes out to one client: straight into the server's transport, or through ASGI with a queue of our own.

Neither waits for a peer. One that reads too slowly loses ephemeral messages first, then its connection.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from corekit_realtime.codec import Codec
from corekit_realtime.frames import Outgoing, batches
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.stats import Stats

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Transport(Protocol):
    """What a writer needs of `asyncio.Transport`."""

    def write(self, data: bytes) -> None:
        """Send these bytes in time."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return how many bytes still wait."""
        ...

    def abort(self) -> None:
        """Cut the connection; what waits is lost."""
        ...

    def is_closing(self) -> bool:
        """Tell whether it is over."""
        ...


class Caps:
    """How much may wait for a peer, and the writers above the soft mark."""

    def __init__(self, settings: RealtimeSettings, stats: Stats) -> None:
        self.soft = settings.soft_buffer
        self.hard = settings.hard_buffer
        self.slow_for = settings.slow_for
        self.slow: set[Writer] = set()
        self.stats = stats

    def check(self) -> None:
        """Look at the slow ones; called every second or so, since nothing may be written to them meanwhile."""
        for writer in list(self.slow):
            writer.check()


class Writer:
    """Replies of one turn of the loop share a write; what many get goes out as it is, after them."""

    __slots__ = (
        "_allowance",
        "_caps",
        "_loop",
        "_mark",
        "_replies",
        "_slow_since",
        "closed",
        "codec",
        "was_slow",
    )

    def __init__(self, codec: Codec, caps: Caps) -> None:
        self.codec = codec
        self.closed = False
        self.was_slow = False
        self._caps = caps
        self._loop = asyncio.get_running_loop()
        self._replies: list[bytes] = []
        self._allowance = 0  # a large reply that was asked for does not count as slowness
        self._mark = 0
        self._slow_since = 0.0

    def push(self, reply: bytes) -> None:
        """Send a reply with the others of this turn."""
        if not self._replies:
            self._loop.call_soon(self.flush)
        self._replies.append(reply)

    def send(self, outgoing: Outgoing) -> None:
        """Send a message that others get too."""
        if self._replies:
            self.flush()
        self._send(outgoing)

    def flush(self) -> None:
        """Send what waits for the end of this turn."""
        replies, self._replies = self._replies, []
        if replies:
            self._allowance = max(self._allowance, sum(map(len, replies)))
            for outgoing in batches(self.codec, replies):
                self._send(outgoing)

    def buffered(self) -> int:
        """Return how many bytes wait for the peer."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cut the connection; a peer that does not read would not get a close frame either."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Send what can be sent, before a close frame."""
        self.flush()

    def stop(self) -> None:
        """Let go of everything."""
        self.closed = True
        self._replies = []
        self._caps.slow.discard(self)

    def check(self) -> None:
        """Cut a peer that has stayed above the soft mark without catching up; forget one that is below it."""
        buffered = self.buffered()
        if self.closed or buffered <= self._caps.soft:
            self._caps.slow.discard(self)
            self._allowance = 0
        elif buffered > self._caps.hard + self._allowance:
            self._cut()
        elif buffered <= self._mark - self._caps.soft // 4:
            self._mark, self._slow_since = buffered, self._loop.time()
        elif self._loop.time() - self._slow_since > self._caps.slow_for:
            self._cut()

    def _send(self, outgoing: Outgoing) -> None:
        raise NotImplementedError

    def _may(self, buffered: int, outgoing: Outgoing) -> bool:
        """Decide for a peer above the soft mark."""
        if self not in self._caps.slow:
            self._caps.slow.add(self)
            self._mark, self._slow_since = buffered, self._loop.time()
        self.check()
        if outgoing.ephemeral:
            self._caps.stats.skipped += 1
        return not (self.closed or outgoing.ephemeral)

    def _cut(self) -> None:
        self.was_slow = True
        self._caps.stats.slow_closes += 1
        self.abort()


class DirectWriter(Writer):
    """Writes whole frames into the transport that the server put into the scope."""

    __slots__ = ("_soft", "_transport")

    def __init__(self, codec: Codec, caps: Caps, transport: Transport) -> None:
        super().__init__(codec, caps)
        self._transport = transport
        self._soft = caps.soft

    def buffered(self) -> int:
        """Ask the transport."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Cut; the server then tells the connection."""
        self.stop()
        self._transport.abort()

    def _send(self, outgoing: Outgoing) -> None:
        transport = self._transport
        if self.closed or transport.is_closing():
            return
        buffered = transport.get_write_buffer_size()
        if buffered <= self._soft or self._may(buffered, outgoing):
            transport.write(outgoing.frames)


class QueueWriter(Writer):
    """Where the server offers no transport: a queue, and a task that waits for the peer instead of the room."""

    def __init__(self, codec: Codec, caps: Caps, send: Send, cut: Callable[[], None]) -> None:
        super().__init__(codec, caps)
        self._asgi_send = send
        self._cut_connection = cut
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = self._loop.create_task(self._run(), name="corekit-realtime-writer")

    def buffered(self) -> int:
        """Count the queue."""
        return self._size

    def abort(self) -> None:
        """Give up; the server closes when the handler has ended."""
        self.stop()
        self._cut_connection()

    async def finish(self) -> None:
        """Wait a moment for the queue."""
        self.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._idle.wait()

    def stop(self) -> None:
        """End the task."""
        super().stop()
        self._queue.clear()
        self._task.cancel()

    def _send(self, outgoing: Outgoing) -> None:
        if self.closed or (self._size > self._caps.soft and not self._may(self._size, outgoing)):
            return
        self._queue.extend(outgoing.replies)
        self._size += sum(map(len, outgoing.replies))
        self._more.set()
        self._idle.clear()

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            while self._queue:
                reply = self._queue.popleft()
                data = {"bytes": reply} if self.codec.binary else {"text": reply.decode()}
                try:
                    await self._asgi_send({"type": "websocket.send", **data})
                except Exception:  # noqa: BLE001  # servers differ in what they raise for a lost peer
                    self.stop()
                    return
                self._size -= len(reply)
            self._more.clear()
            self._idle.set()
