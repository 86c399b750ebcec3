"""The kit that `crowd.py` serves: recoverable rooms without a database, somebody who talks in them, and no guard."""

import asyncio
import gc
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import uvicorn

from corekit import Actor, Caller, Context, Corekit, Kit, Plugin, Settings, implements
from corekit.cli.options import run
from corekit.contracts.auth import authenticate
from corekit.contracts.realtime import (
    Grant,
    Namespace,
    Publication,
    Realtime,
    SubscribeRequest,
    can_subscribe,
    method,
)
from corekit.settings import Config
from corekit.values import typeid
from corekit.web import asgi
from corekit.web.uvicorn import server_config
from corekit_realtime import RealtimePlugin

ROOMS = 100
LINE = '{"text":"' + "x" * 200 + '"}'


def room(number: int) -> UUID:
    """Name a room."""
    return UUID(int=number % ROOMS)


class Rooms:
    """A log in memory, as long as it has to be for the clients that are away."""

    def __init__(self) -> None:
        self.ends: dict[UUID, int] = {}

    async def position(self, ctx: Context, channel: UUID) -> tuple[str, int]:  # noqa: ARG002
        """Return the end."""
        return "crowd", self.ends.get(channel, 0)

    async def since(self, ctx: Context, channel: UUID, offset: int, limit: int) -> list[Publication]:  # noqa: ARG002
        """Return a range; every entry is the same text."""
        last = min(self.ends.get(channel, 0), offset + limit)
        return [Publication(LINE.encode(), place) for place in range(offset + 1, last + 1)]


class Pace(msgspec.Struct):
    """Messages per second from now on."""

    rate: float


class CrowdPlugin(Plugin[Settings]):
    """Lets everybody in under the name that is their token, and talks in all rooms."""

    name = "crowd"
    requires = (Realtime,)

    def __init__(self) -> None:
        super().__init__(Settings())
        self.rooms, self.rate = Rooms(), 0.0

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Bring rooms and methods; talk."""
        self._realtime = kit.get(Realtime)
        self._realtime.add(Namespace("room", prefix="rom", presence=True, join_leave=True), log=self.rooms)
        self._realtime.methods(self)
        talking = asyncio.create_task(self._talk())
        yield
        talking.cancel()

    @method("crowd.pace")
    async def pace(self, caller: Caller, request: Pace) -> dict[str, int]:  # noqa: ARG002
        """Change the pace; tell where the rooms are."""
        self.rate = request.rate
        return {str(key.int): end for key, end in self.rooms.ends.items()}

    @method("crowd.echo")
    async def echo(self, caller: Caller, request: Pace) -> Pace:  # noqa: ARG002
        """Repeat."""
        return request

    @method("crowd.collect")
    async def collect(self, caller: Caller, request: Pace) -> Pace:  # noqa: ARG002
        """Let go of garbage, so that what is left is not."""
        gc.collect()
        return request

    @implements(authenticate)
    async def anybody(self, token: str) -> Actor | None:
        """Know everybody."""
        return Actor(token)

    @implements(can_subscribe)
    async def all_may_hear(self, request: SubscribeRequest, ctx: Context) -> Grant | None:  # noqa: ARG002
        """Allow everything."""
        return Grant()

    async def _talk(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(1 / self.rate if self.rate else 0.05)
            if self.rate:
                key = room(number := number + 1)
                self.rooms.ends[key] = offset = self.rooms.ends.get(key, 0) + 1
                await self._realtime.publish(f"room:{typeid('rom', key)}", LINE.encode(), offset=offset)


async def serve(port: int) -> None:
    """Be the server."""
    config = Config.load(environ={}, overrides={"jobs": {"worker": False}})
    kit = Corekit([RealtimePlugin(), CrowdPlugin()], data_dir=tempfile.mkdtemp(), config=config)
    async with kit:
        await uvicorn.Server(server_config(asgi(kit), port=port)).serve()


if __name__ == "__main__":
    run(serve(int(sys.argv[1])))
