"""Messages per second and added latency of each bus between two nodes, beside redis-py's publish and subscribe.

`uv run --group bench python benchmarks/buses.py`; publisher and listener share a process; all in turns; medians.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack

import valkey.asyncio

from corekit.data import DatabaseSettings
from corekit.data.redis import Redis, RedisSettings
from corekit.testing import NatsServer, PostgresServer, ValkeyServer, make_kit
from corekit_realtime.bus import Bus
from corekit_realtime.bus.nats import nats_bus
from corekit_realtime.bus.postgresql import postgresql_bus
from corekit_realtime.bus.redis import redis_bus

MESSAGE = (
    b'["p","0123456789abcdef0123456789abcdef","conv:cnv_01m812s9aaaaaaaaaaaaaaaaaa",%d,{"text":"' + b"x" * 200 + b'"}]'
)
COUNT, PINGS, ROUNDS = 20_000, 300, 3
Publish = Callable[[bytes], None]


class Ear:
    """Counts what arrives."""

    def __init__(self) -> None:
        self.count = 0
        self.expected = 0
        self.done = asyncio.Event()

    def hear(self, _: bytes) -> None:
        self.count += 1
        if self.count >= self.expected:
            self.done.set()

    async def expect(self, count: int, send: Callable[[], Awaitable[None]]) -> float:
        """Send, wait until so many have come, return the seconds."""
        self.count, self.expected = 0, count
        self.done.clear()
        began = time.perf_counter()
        await send()
        async with asyncio.timeout(60):
            await self.done.wait()
        return time.perf_counter() - began


async def measured(publish: Callable[[list[bytes]], Awaitable[None]], ear: Ear) -> tuple[float, float]:
    """Return messages per second in bursts of 500, and the median microseconds of one alone."""
    batch = [MESSAGE % number for number in range(500)]

    async def burst() -> None:
        for _ in range(COUNT // len(batch)):
            await publish(batch)
            await asyncio.sleep(0)

    rate = COUNT / await ear.expect(COUNT, burst)
    alone = [await ear.expect(1, lambda: publish(batch[:1])) for _ in range(PINGS)]
    return rate, statistics.median(alone) * 1e6


async def ours(stack: AsyncExitStack, make: Callable[[], Bus]) -> tuple[Callable[[list[bytes]], Awaitable[None]], Ear]:
    """Join two nodes."""
    ear = Ear()
    ends = [make(), make()]
    for bus in ends:
        await bus.start(lambda: None)
        stack.push_async_callback(bus.stop)
    ends[1].subscribe(7, ear.hear)
    await ends[1].settle()
    await asyncio.sleep(0.2)

    async def publish(messages: list[bytes]) -> None:
        for message in messages:
            ends[0].publish(7, message)

    return publish, ear


async def peer(stack: AsyncExitStack, url: str) -> tuple[Callable[[list[bytes]], Awaitable[None]], Ear]:
    """Publish and subscribe as the usual client does, a pipeline per batch."""
    ear = Ear()
    client = valkey.asyncio.from_url(url.replace("redis://", "valkey://"))
    stack.push_async_callback(client.aclose)
    channel = client.pubsub()
    await channel.subscribe("peer")

    async def listen() -> None:
        async for message in channel.listen():
            if message["type"] == "message":
                ear.hear(message["data"])

    task = asyncio.create_task(listen())
    stack.callback(task.cancel)

    async def publish(messages: list[bytes]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.publish("peer", message)
            await pipe.execute()

    await asyncio.sleep(0.1)
    return publish, ear


async def main(database: DatabaseSettings, url: str, nats: str) -> None:
    """Measure all in turns."""
    async with AsyncExitStack() as stack:
        kit = await stack.enter_async_context(make_kit(database=database, settings={"jobs": {"worker": False}}))
        settings = RedisSettings(url=url)
        ways = {
            "postgresql": await ours(stack, lambda: postgresql_bus(kit.database)),
            "redis": await ours(stack, lambda: redis_bus(Redis(settings), "bench")),
            "nats": await ours(stack, lambda: nats_bus(nats, "bench")),
            "valkey-py": await peer(stack, url),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (publish, ear) in ways.items():
                found[name].append(await measured(publish, ear))
    for name, figures in found.items():
        rate, alone = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:12} {rate:9,.0f} messages/s   one alone {alone:6.0f} µs")


if __name__ == "__main__":
    with ExitStack() as stack:
        server, redis, broker = (
            stack.enter_context(each.started()) for each in (PostgresServer, ValkeyServer, NatsServer)
        )
        empty = stack.enter_context(server.database())
        asyncio.run(main(asyncio.run(server.settings(empty)), redis.url, broker.url))
