"""The bus over channels of Redis or Valkey: two connections, one that publishes and one that listens.

Channels know no database numbers, so kits that share a server need different prefixes.
"""

import asyncio
from collections.abc import Iterable

from corekit.data.redis import Redis
from corekit.data.resp import Line, RedisRefused
from corekit_realtime.bus.remote import Batch, Heard, Link, LinkLost, Lost, RemoteBus

_WITHIN = 5.0  # seconds for one command
_ERRORS = (OSError, RedisRefused)  # a TimeoutError is an OSError


def redis_bus(redis: Redis, prefix: str) -> RemoteBus:
    """Make the bus of a server."""

    async def dial(heard: Heard, lost: Lost) -> Link:
        start = f"{prefix}:realtime:"

        def hear(channel: bytes, message: bytes) -> None:
            heard(int(channel.decode().removeprefix(start)), message)

        try:
            out = await redis.dial(_WITHIN, lost=lost)
            try:
                into = await redis.dial(_WITHIN, heard=hear, lost=lost)
            except BaseException:
                out.close()
                raise
        except _ERRORS as error:
            raise LinkLost(_reason(error)) from None
        return RedisLink(out, into, start)

    return RemoteBus("redis", dial)


class RedisLink(Link):
    """One's own messages come back: the server knows no senders."""

    def __init__(self, out: Line, into: Line, prefix: str) -> None:
        self._out = out
        self._in = into
        self._prefix = prefix

    async def listen(self, shards: Iterable[int]) -> None:
        """SUBSCRIBE to one channel per shard."""
        await _all([(self._in, ("SUBSCRIBE", f"{self._prefix}{shard}")) for shard in shards])

    async def send(self, batch: Batch) -> None:
        """PUBLISH all of it, without a wait in between."""
        await _all([(self._out, ("PUBLISH", f"{self._prefix}{shard}", message)) for shard, message in batch])

    async def ping(self) -> None:
        """PING both ways."""
        await _all([(self._out, ("PING",)), (self._in, ("PING",))])

    async def close(self) -> None:
        """Hang up."""
        self._out.close()
        self._in.close()


async def _all(commands: list[tuple[Line, tuple[str | bytes, ...]]]) -> None:
    """Send commands and wait for every answer; answers come in order, but not those of two connections."""
    try:
        answers = [line.send(*command) for line, command in commands]
        await asyncio.wait(answers[-2:])
        for answer in answers:
            if isinstance(refused := answer.result(), RedisRefused):
                raise refused
    except _ERRORS as error:
        raise LinkLost(_reason(error)) from None


def _reason(error: Exception) -> str:
    return error.code if isinstance(error, RedisRefused) else type(error).__name__
