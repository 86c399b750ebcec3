"""The request log: a line per answer, with the template of its route; no path, query, header, address or body."""

import asyncio
import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import IO, Any, Literal
from uuid import UUID

import msgspec

from corekit.context import NOBODY, Caller
from corekit.settings import Config
from corekit.values import typeid
from corekit.watch import LogSettings
from corekit.web.types import App, Receive, Scope, Send

LOGGED = "logged"  # a route with `opt={"logged": False}` is logged only when it fails
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ATOMIC = getattr(select, "PIPE_BUF", 512)  # bytes that a pipe takes whole once it is writable
_FAILED, _OUR_FAULT = 400, 500  # from which status on
_HELD_MAX = 1 << 20  # bytes


class RequestLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a line says; `route` is a template, and missing where none matched. `duration_ms` ends with the body."""

    event: str
    level: str
    logger: str
    timestamp: str
    method: str
    route: str = ""
    status: int
    duration_ms: float
    request_id: str = ""
    actor: str = ""
    dropped: int = 0  # lines that a full pipe did not take


class Lines:
    """Writes whole lines to a stream, those of one tick at once; what a full pipe does not take is dropped.

    A server must not wait for whoever reads its log. `lost` counts what was dropped and not told yet.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.lost = 0
        self._stream = stream or sys.stderr
        self._held: list[tuple[bytes, int]] = []  # each with the lost ones that it tells of
        self._size = 0
        self._waits = False

    def add(self, line: bytes, told: int = 0) -> None:
        """Keep a line until the loop comes round; it says of `told` others that they were lost."""
        if self._size > _HELD_MAX:
            self.lost += 1 + told
            return
        self._held.append((line, told))
        self._size += len(line)
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what is held."""
        held, self._held, self._size, self._waits = self._held, [], 0, False
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # a stream in memory, or one that is closed
            with suppress(ValueError):
                self._stream.write(b"".join(line for line, _ in held).decode())
            return
        at = 0
        while at < len(held):
            end = _part(held, at)
            try:
                if _writable(descriptor):
                    os.write(descriptor, b"".join(line for line, _ in held[at:end]))
                    at = end
                    continue
            except OSError:  # nobody reads it any more
                pass
            self.lost += sum(1 + told for _, told in held[at:end])
            at = end


class RequestLog:
    """Logs each HTTP request that goes through an application, and costs it next to nothing.

    `corekit serve` has it; a host wraps what it serves: `RequestLog(app, style="json")`.
    """

    def __init__(self, app: App, *, style: Literal["json", "text"] = "json", lines: Lines | None = None) -> None:
        self._app = app
        self._lines = lines or Lines()
        self._second, self._written = 0, ""
        self._encode: Callable[[RequestLine], bytes] = _json if style == "json" else _text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, then write what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500  # what a server answers for an application that does not

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if status >= _FAILED or _is_logged(scope):
                self._log(scope, status, time.perf_counter() - began)

    def _log(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        lost, self._lines.lost = self._lines.lost, 0
        caller = _caller(scope)
        line = RequestLine(
            event="request",
            level="info" if status < _OUR_FAULT else "error",
            logger="corekit.requests",
            timestamp=self._now(),
            method=scope["method"] if scope["method"] in _METHODS else "OTHER",
            status=status,
            duration_ms=round(seconds * 1000, 3),
            route=scope.get("path_template", ""),
            request_id=caller.request_id if caller else "",
            actor=_name(caller) if caller else "",
            dropped=lost,
        )
        self._lines.add(self._encode(line), told=lost)

    def _now(self) -> str:
        """Write the time as RFC 3339 in UTC, the second only once."""
        second, micros = divmod(time.time_ns() // 1000, 1_000_000)
        if second != self._second:
            self._second, self._written = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._written}.{micros:06}Z"


def logged(config: Config, app: App) -> App:
    """Log an application's requests as `[logs]` says."""
    settings = config.table("logs", LogSettings)
    wanted = settings.requests and settings.level in ("debug", "info")
    return RequestLog(app, style=settings.style_in(config.env)) if wanted else app


def _is_logged(scope: Mapping[str, Any]) -> bool:
    handler = scope.get("route_handler")
    return handler is None or handler.opt.get(LOGGED, True)


def _name(caller: Caller) -> str:
    if caller.actor.kind == "user":
        return _user(caller.actor.id)
    return "" if caller.actor == NOBODY else f"{caller.actor.kind}:{caller.actor.name or caller.actor.id}"


@lru_cache(maxsize=4096)
def _user(key: UUID) -> str:
    return typeid("usr", key)


def _caller(scope: Mapping[str, Any]) -> Caller | None:
    asker: tuple[Caller, Any] | None = scope.get("state", {}).get("corekit")
    return asker[0] if asker else None


def _json(line: RequestLine) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _text(line: RequestLine) -> bytes:
    said = {name: value for name, value in msgspec.to_builtins(line).items() if name not in _HEAD}
    fields = " ".join(f"{name}={value}" for name, value in said.items())
    return f"{line.timestamp} [{line.level:<9}] {line.event} [{line.logger}] {fields}\n".encode()


_HEAD = frozenset(("timestamp", "level", "event", "logger"))


def _part(held: list[tuple[bytes, int]], at: int) -> int:
    """Return the end of the lines from `at` on that a pipe takes whole."""
    size, end = len(held[at][0]), at + 1
    while end < len(held) and size + len(held[end][0]) <= _ATOMIC:
        size += len(held[end][0])
        end += 1
    return end


def _writable(descriptor: int) -> bool:
    """Tell whether a write would not wait."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poll.poll(0))
