"""Redis or Valkey, for what processes share and may lose: one connection of a kit, made when it is first needed."""

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from corekit.data.resp import Line, RedisRefused
from corekit.errors import ConfigError
from corekit.settings import Config, Settings
from corekit.watch.logs import get_logger

PAUSE = 0.5  # seconds after a failed attempt to connect; who asks in between is refused at once
CONNECT = 10.0  # seconds for one attempt; a look-up of a name cannot be called off, so attempts are few
_SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_LOST = ("READONLY", "MASTERDOWN", "NOAUTH")  # this is not, or no more, the server that was meant


class RedisSettings(Settings, frozen=True):
    """`[redis]`: a Redis or Valkey server, if there is one; `timeout` is in seconds, for connecting and for a command.

    `url` is like `redis://host:6379/0`, with `user:password@` before the host where these are, with TLS `rediss://`.
    """

    url: str = ""
    timeout: float = 0.25


class Script:
    """A Lua script: sent by its digest, and in full to a server that does not know it yet."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """The connection; it comes back by itself, and nobody waits longer than `timeout` for it.

    Its verbs raise OSError where the server does not answer, and RedisRefused where it answers an error.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._url = _read(settings.url)
        if not 0 < settings.timeout <= CONNECT:
            raise ConfigError(f"[redis] timeout is above 0 and at most {CONNECT:.0f} seconds, not {settings.timeout}")
        if find_spec("hiredis") is None:
            raise ConfigError('[redis] url is set, but hiredis is missing: pip install "corekit[redis]"')
        self._timeout = settings.timeout
        self._line: Line | None = None
        self._opening: asyncio.Task[Line | Exception] | None = None
        self._began = self._failed_at = float("-inf")

    @classmethod
    def of(cls, config: Config) -> "Redis | None":
        """Make the one that is configured, if one is."""
        settings = config.table("redis", RedisSettings)
        return cls(settings) if settings.url else None

    async def call(self, *command: str | bytes | int) -> Any:
        """Send a command and return its answer; texts come as bytes."""
        line = self._line if self._line is not None and self._line.open else await self._connected()
        answer = await line.send(*command)
        if isinstance(answer, RedisRefused) and answer.code in _LOST:
            line.close()
        return _demand_good(answer)

    async def run(self, script: Script, keys: list[bytes], *arguments: str | bytes | int) -> Any:
        """Run a script on its keys, all or nothing."""
        try:
            return await self.call("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except RedisRefused as refused:
            if refused.code != "NOSCRIPT":
                raise
        return await self.call("EVAL", script.source, len(keys), *keys, *arguments)

    async def ping(self) -> None:
        """Ask whether the server answers."""
        await self.call("PING")

    async def stop(self) -> None:
        """Hang up."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
        if self._line is not None:
            self._line.close()

    async def _connected(self) -> Line:
        """Connect once for all who wait; after a failure not again for a moment, or each would wait in turn."""
        now = asyncio.get_running_loop().time()
        if self._opening is None:
            if now < self._failed_at + PAUSE:
                raise ConnectionRefusedError("the server did not answer a moment ago")
            self._began = now
            self._opening = asyncio.create_task(self._open(), name="corekit-redis")
        left = self._began + self._timeout - now
        done, _ = await asyncio.wait([self._opening], timeout=left) if left > 0 else (set(), None)
        if not done:
            raise TimeoutError(f"no connection within {self._timeout} s")
        opened = done.pop().result()
        if isinstance(opened, Exception):
            raise opened
        return opened

    async def dial(
        self,
        patience: float,
        *,
        heard: Callable[[bytes, bytes], None] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Line:
        """Open a connection of one's own and log in: for channels, which need one for themselves.

        `patience` is in seconds, for each command.
        """
        line: Line | None = None
        tls = ssl.create_default_context() if _SCHEMES[self._url.scheme] else None
        loop, host, port = asyncio.get_running_loop(), self._url.hostname or "", self._url.port or 6379
        try:
            async with asyncio.timeout(CONNECT):
                made = lambda: Line(patience, heard=heard, lost=lost)  # noqa: E731
                _, line = await loop.create_connection(made, host, port, ssl=tls)
                await self._greet(line)
        except BaseException:
            if line is not None:
                line.close()
            raise
        return line

    async def _open(self) -> Line | Exception:
        """Connect and log in; a failure is returned, since nobody may be left to catch it."""
        try:
            line = self._line = await self.dial(self._timeout)
        except (OSError, RedisRefused) as error:
            self._failed_at = asyncio.get_running_loop().time()
            reason = error.code if isinstance(error, RedisRefused) else type(error).__name__
            get_logger("corekit.redis").warning("redis_unreachable", reason=reason)
            return error
        else:
            return line
        finally:
            self._opening = None

    async def _greet(self, line: Line) -> None:
        """Say who we are and which database is meant."""
        user, password = unquote(self._url.username or ""), unquote(self._url.password or "")
        if password:
            _demand_good(await line.send("AUTH", *([user] if user else []), password))
        _demand_good(await line.send("SELECT", self._url.path.removeprefix("/") or 0))


def _demand_good(answer: Any) -> Any:
    if isinstance(answer, RedisRefused):
        raise answer
    return answer


def _read(text: str) -> SplitResult:
    """Take a URL apart; the error does not repeat it, since it may hold a password."""
    with suppress(ValueError):  # a port or a name that is none
        url = urlsplit(text)
        number = url.path.removeprefix("/")
        good = url.scheme in _SCHEMES and (url.hostname or "").encode("idna") and url.port != 0
        good = good and (not number or (number.isascii() and number.isdecimal()))
        if good and not url.query and not url.fragment:
            return url
    raise ConfigError(f"[redis] url is like redis://host:6379/0; schemes: {', '.join(_SCHEMES)}")
