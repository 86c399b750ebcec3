"""Several nodes with one log, on every bus."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs
from realtime_town import Served, TownPlugin
from realtime_wire import Wire

from corekit.data import DatabaseSettings
from corekit.testing import Door, FakeClock, make_kit, serve
from corekit_realtime import RealtimePlugin, RealtimeSettings
from corekit_realtime.bus import Bus, MemoryBus

REMOTE = ["postgresql", "redis", "nats"]


class Unruly(MemoryBus):
    """Loses one message in ten, and brings the others twice and in any order."""

    def publish(self, shard: int, message: bytes) -> None:
        """Make a mess."""
        loop = asyncio.get_running_loop()
        for _ in range(2):
            if random.random() > 0.1:  # noqa: S311  # no secret
                loop.call_later(random.random() / 50, super().publish, shard, message)  # noqa: S311


@dataclass
class Broker:
    """A real broker: where it is, and the database where that is one."""

    url: str
    database: DatabaseSettings | None = None


class Nodes:
    """Nodes with one log, and the way to their bus; `settings` are those of each gateway."""

    def __init__(
        self,
        stack: AsyncExitStack,
        clock: FakeClock,
        *,
        database: DatabaseSettings | None = None,
        own: Bus | None = None,
        door: Door | None = None,
        **settings: Any,
    ) -> None:
        self.nodes: list[Served] = []
        self.door = door
        self._stack = stack
        self._clock = clock
        self._database = database
        self._own = own
        self._settings = settings
        self.crowd = 100

    @property
    def towns(self) -> list[TownPlugin]:
        """Return the town of each."""
        return [node.town for node in self.nodes]

    async def start(self, count: int = 1) -> None:
        """Start nodes, and wait until they have their bus."""
        for _ in range(count):
            town = TownPlugin()
            town.crowd = self.crowd
            if self.nodes:
                town.log = self.nodes[0].town.log
            realtime = RealtimePlugin(RealtimeSettings(**self._settings), bus=self._own)
            tables = {"jobs": {"worker": False}}
            kit = await self._stack.enter_async_context(
                make_kit([realtime, town], database=self._database, clock=self._clock, settings=tables)
            )
            url = await self._stack.enter_async_context(serve(kit))
            assert realtime._node is not None
            self.nodes.append(Served(url, kit, town, realtime._node, self._clock, self._stack))
        await self.ready()

    async def wires(self, *names: str) -> list[Wire]:
        """Connect somebody to each node."""
        return [await node.open(name) for node, name in zip(self.nodes, names, strict=True)]

    async def ready(self, *, ready: bool = True) -> None:
        """Wait until all nodes have their bus, or know that they have lost it."""
        async with asyncio.timeout(10):
            while any(node.node.bus.ready is not ready for node in self.nodes):
                await asyncio.sleep(0.01)


Join = Callable[..., AbstractAsyncContextManager[Nodes]]


def joining(broker: Broker | None, clock: FakeClock) -> Join:
    """Give a way to start nodes on a broker, which is behind a door; on memory where there is none."""

    @asynccontextmanager
    async def start(count: int = 2, **settings: Any) -> AsyncGenerator[Nodes]:
        async with AsyncExitStack() as stack:
            if broker is None:
                settings["own"] = MemoryBus()
            else:
                door = settings["door"] = await stack.enter_async_context(Door(broker.url))
                if broker.database is None:
                    settings |= {"bus": door.url, "bus_prefix": uuid4().hex}
                else:
                    settings["database"] = structs.replace(broker.database, direct_url=door.url)
            nodes = Nodes(stack, clock, **settings)
            await nodes.start(count)
            yield nodes

    return start


on_each = pytest.mark.parametrize("broker", ["memory", *REMOTE], indirect=True)
on_each_remote = pytest.mark.parametrize("broker", REMOTE, indirect=True)
