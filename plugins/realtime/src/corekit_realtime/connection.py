"""One client: reads its commands in order, answers, pings and closes."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID, uuid4

from msgspec import UNSET

from corekit.context import NOBODY, Actor, Caller
from corekit.errors import Problem
from corekit.values import trace_id, typeid
from corekit.watch.logs import get_logger
from corekit_realtime.buckets import Bucket
from corekit_realtime.channel import Subscription
from corekit_realtime.codec import Codec
from corekit_realtime.codes import (
    FRAME_TOO_LARGE,
    MALFORMED,
    SERVER_ERROR,
    SHUTDOWN,
    TOO_MANY,
    TOO_MANY_REQUESTS,
    Close,
    Ending,
    Refusal,
    error_of,
    fault_of,
)
from corekit_realtime.frames import Outgoing
from corekit_realtime.protocol import Command, Data, Error, Push, Reply
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.tasks import Tasks
from corekit_realtime.writers import Send, Writer

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_CLOSE_WITHIN = 5.0  # seconds for a close frame; a peer that does not read gets none


class Commands(Protocol):
    """What answers commands."""

    async def run(self, connection: "Connection", name: str, number: int, request: Any) -> None:
        """Answer one; Refusal, Problem and Ending say why not."""
        ...


class Connection:
    """A socket, and after `connect` the person behind it; there are thousands, so they are small."""

    __slots__ = (
        "__weakref__",
        "_commands",
        "_loop",
        "_reader",
        "_run_command",
        "_send",
        "_settings",
        "_tasks",
        "awaits_pong",
        "caller",
        "calls",
        "client",
        "closing",
        "codec",
        "conn_info",
        "connected",
        "expires_at",
        "name",
        "opened_at",
        "publishes",
        "reads",
        "slot",
        "subscriptions",
        "token",
        "user",
        "usr",
        "was_cut",
        "writer",
    )

    def __init__(
        self, settings: RealtimeSettings, commands: Commands, tasks: Tasks, caller: Caller, codec: Codec
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.client = str(uuid4())
        self.caller = caller
        self.codec = codec
        self.writer: Writer  # the gateway makes it with the socket
        self.user: UUID = NOBODY.id
        self.usr = ""
        self.token = ""
        self.name = ""
        self.conn_info: Data = UNSET
        self.connected = False
        self.expires_at: float | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.calls: set[asyncio.Task[None]] = set()
        self.awaits_pong = False
        self.slot = 0
        self.opened_at = self._loop.time()
        self.closing: Close | None = None
        self.was_cut = False
        self.publishes = Bucket(settings.publish_rate, settings.publish_rate, self.opened_at)
        self.reads = Bucket(settings.read_rate, 2 * settings.read_rate, self.opened_at)
        self._commands = Bucket(settings.commands_rate, settings.commands_burst, self.opened_at)
        self._settings = settings
        self._run_command = commands.run
        self._tasks = tasks
        self._send: Send
        self._reader: asyncio.Task[None] | None = None

    def sign_in(self, actor: Actor, token: str) -> None:
        """Note who is behind the socket, and until when."""
        self.caller = replace(self.caller, actor=actor)
        self.user, self.usr, self.token = actor.id, typeid("usr", actor.id), token
        ends = actor.proof.expires_at if actor.proof else None
        self.expires_at = ends.timestamp() if ends else None

    def fresh_caller(self) -> Caller:
        """Return who asks, for one command: it has a request id of its own."""
        return replace(self.caller, request_id=trace_id())

    def stranger(self) -> Caller:
        """Return somebody unknown at the same place, to be identified by a token."""
        return replace(self.caller, actor=NOBODY)

    async def run(self, receive: Receive, send: Send) -> int:
        """Read until the connection is over; return the code it ended with."""
        self._send, self._reader = send, asyncio.current_task()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return self.closing.code if self.closing else int(message.get("code") or 1005)
            if message["type"] == "websocket.receive" and self.closing is None:
                text = message.get("text")
                try:
                    await self._take(message["bytes"] if text is None else text.encode())
                except Ending as ending:
                    self.close(ending.close)

    def answer(self, number: int, **result: Any) -> None:
        """Answer a command."""
        self.writer.push(self.codec.encode(Reply(id=number, **result)))

    def refuse(self, number: int, error: Error) -> None:
        """Answer a command with an error."""
        self.writer.push(self.codec.encode(Reply(id=number, error=error)))

    def push(self, push: Push) -> None:
        """Tell the client something that it did not ask for."""
        self.writer.push(self.codec.encode(Reply(push=push)))

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.closing is None:
            self.awaits_pong = True
            self.writer.send(Outgoing(self.codec, [self.codec.ping]))

    def close(self, close: Close) -> None:
        """Close, once; what has been pushed goes out before."""
        if self.closing is None:
            self.closing = close
            self._tasks.spawn(self._close(close), "close")

    async def _close(self, close: Close) -> None:
        if close is SHUTDOWN and self.calls:
            await asyncio.wait(set(self.calls), timeout=_CLOSE_WITHIN)
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.writer.finish()
                self.writer.stop()
                await self._send({"type": "websocket.close", "code": close.code, "reason": close.reason})
        except TimeoutError:
            self.writer.abort()
        except Exception as error:  # noqa: BLE001  # servers differ in what they raise for a peer that has gone
            get_logger("corekit.realtime").debug("close_failed", error=type(error).__name__)
        if self._reader is not None and not self._reader.done():
            await asyncio.wait([self._reader], timeout=_CLOSE_WITHIN)
            self.cut()

    def cut(self) -> None:
        """End the reading where the server does not."""
        if self._reader is not None and not self._reader.done():
            self.was_cut = True
            self._reader.cancel()

    async def _take(self, message: bytes) -> None:
        if len(message) > self._settings.frame_max:
            raise Ending(FRAME_TOO_LARGE)
        self.awaits_pong = False
        for command in self.codec.decode(message):
            await self._command(command)
            if self.closing is not None:
                return

    async def _command(self, command: Command) -> None:
        now = self._loop.time()
        if not self._commands.take(now):
            if self._commands.refused_for(now) > self._settings.commands_patience:
                raise Ending(TOO_MANY)
            if command.id:
                self.refuse(command.id, TOO_MANY_REQUESTS)
            return
        requests = command.requests()
        if not requests and not command.id and self.connected:
            return  # a pong
        if len(requests) != 1 or self.connected is (requests[0][0] == "connect"):
            raise Ending(MALFORMED)
        name, request = requests[0]
        if name == "send":
            return
        if not command.id:
            raise Ending(MALFORMED)
        await self._answer(name, command.id, request)

    async def _answer(self, name: str, number: int, request: Any) -> None:
        try:
            await self._run_command(self, name, number, request)
        except Refusal as refusal:
            self.refuse(number, refusal.error)
        except Problem as problem:
            self.refuse(number, error_of(problem))
        except Ending:
            raise
        except Exception as error:
            get_logger("corekit.realtime").exception(
                "command_failed", method=name, request_id=self.caller.request_id, error=type(error).__name__
            )
            if name == "connect":
                raise Ending(SERVER_ERROR) from error
            self.refuse(number, fault_of(error))
