"""Both ends between a supervisor and one of its workers: a process, and a pair of sockets over which they speak.

A word per line. The worker says once `ready`, or `serving` where it accepts but `/ready` does not say yes. The
supervisor says `leave` (drain, the others take what comes), `drain` (all stop) or `stop` (at once). If the supervisor
dies, its end of the pair closes, and the worker leaves: nobody would look after it.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import msgspec

from corekit.errors import ConfigError
from corekit.watch import Health
from corekit.web.uvicorn import Server

VARIABLE = "COREKIT_WORKER_PLACE"
_PATIENCE = 10.0  # seconds a worker waits for what `/ready` asks, before it serves all the same


class Place(msgspec.Struct, frozen=True):
    """What a worker is told at its start; `listener` and `words` are file descriptors that it inherits.

    The `first` comes up before the others: it brings the schema up, and says what is served.
    """

    number: int
    count: int
    first: bool
    listener: int
    words: int

    @classmethod
    def given(cls) -> Self | None:
        """Take the place of this process out of its environment, so that no child takes it for its own.

        Raises:
            ConfigError: it is no supervisor's.

        """
        text = os.environ.pop(VARIABLE, None)
        try:
            return None if text is None else msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            raise ConfigError(f"{VARIABLE} is for the workers of `corekit serve` alone; unset it") from None

    def listening_socket(self) -> socket.socket:
        """Return the listening socket, which all workers share."""
        return socket.socket(fileno=self.listener)

    async def serve(self, server: Server, listener: socket.socket, health: Health) -> None:
        """Serve once `/ready` would say yes, until the supervisor or a signal ends it."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is meant for the supervisor
        ready = await health.wait(_PATIENCE)
        async with self._listening_to_words(server, b"ready\n" if ready else b"serving\n"):
            await server.serve(sockets=[listener])

    @asynccontextmanager
    async def _listening_to_words(self, server: Server, first: bytes) -> AsyncGenerator[None]:
        heard, words = await asyncio.open_unix_connection(sock=socket.socket(fileno=self.words))

        async def obey() -> None:
            await server.accepting.wait()
            words.write(first)
            word = b"nothing yet"
            while word:
                try:
                    word = await heard.readline()
                except ConnectionError:  # the supervisor was gone before the first word
                    word = b""
                {b"drain\n": server.drain, b"stop\n": server.stop}.get(word, server.leave)()

        obeying = asyncio.create_task(obey(), name="corekit-supervised")
        try:
            yield
        finally:
            obeying.cancel()
            words.close()


class Worker:
    """A process as its supervisor sees it; `gone` ends with its exit code."""

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        heard: asyncio.StreamReader,
        words: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.pid = process.pid
        self.up_since: float | None = None  # in the loop's time
        self.gone = asyncio.create_task(process.wait(), name=f"corekit-worker-{number}")
        self.gone.add_done_callback(lambda _: words.close())
        self._process = process
        self._heard = heard
        self._words = words

    @classmethod
    async def start(
        cls, command: Sequence[str], listener: socket.socket, number: int, count: int, *, first: bool
    ) -> Self:
        """Start a process in a session of its own: what is typed at the terminal reaches the supervisor alone."""
        ours, theirs = socket.socketpair()
        with theirs:
            heard, words = await asyncio.open_unix_connection(sock=ours)
            place = Place(number, count, first, listener.fileno(), theirs.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    env=os.environ | {VARIABLE: msgspec.json.encode(place).decode()},
                    pass_fds=(place.listener, place.words),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            except BaseException:
                words.close()
                raise
        return cls(number, process, heard, words)

    async def comes_up(self) -> str:
        """Wait for its first word: `ready`, `serving`, or nothing if it ended instead."""
        try:
            word = (await self._heard.readline()).strip().decode()
        except ConnectionError:
            word = ""
        if word:
            self.up_since = asyncio.get_running_loop().time()
        return word

    def leave(self) -> None:
        """Let it go: the others take what comes."""
        self._say(b"leave\n")

    def drain(self) -> None:
        """Let it drain, or end where it has not come up."""
        if self.up_since is None:
            self._signal(signal.SIGTERM)
        else:
            self._say(b"drain\n")

    async def stop(self, seconds: float) -> None:
        """Let it end at once; kill it if it does not."""
        self._say(b"stop\n")
        if self.up_since is None:
            self._signal(signal.SIGTERM)
        if not (await asyncio.wait({self.gone}, timeout=seconds))[0]:
            self._signal(signal.SIGKILL)
            await asyncio.wait({self.gone})

    def _say(self, word: bytes) -> None:
        if not (self.gone.done() or self._words.is_closing()):
            self._words.write(word)

    def _signal(self, number: signal.Signals) -> None:
        if not self.gone.done():
            self._process.send_signal(number)
