"""The kit that `gateway.py` serves: everybody is let in, one channel, one method."""

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from corekit import Actor, Caller, Context, Corekit, Kit, Plugin, Settings, implements
from corekit.contracts.auth import authenticate
from corekit.contracts.realtime import Grant, Namespace, Realtime, SubscribeRequest, can_subscribe, method
from corekit.settings import Config
from corekit.values import typeid, uuid7
from corekit.web import create_app
from corekit_realtime import RealtimePlugin

Pace = Callable[[Any, Callable[[int], Awaitable[None]]], Awaitable[float]]
CHANNEL = "bench:bch_00000000000000000000000001"


class Go(msgspec.Struct):
    """Publish so many messages, `burst` at a time, `pause` seconds apart."""

    messages: int
    burst: int
    pause: float


class Spent(msgspec.Struct):
    """CPU seconds."""

    spent: float


class Methods:
    """The one method."""

    def __init__(self, realtime: Realtime, pace: Pace, text: str) -> None:
        self._realtime = realtime
        self._pace = pace
        self._text = text

    @method("bench.go")
    async def go(self, caller: Caller, request: Go) -> Spent:  # noqa: ARG002  # the form of a method
        """Publish, and tell what it cost."""

        async def publish(number: int) -> None:
            await self._realtime.publish(CHANNEL, msgspec.json.encode({"n": number, "text": self._text}))

        return Spent(await self._pace(request, publish))


class BenchPlugin(Plugin[Settings]):
    """Lets everybody in."""

    name = "bench"
    requires = (Realtime,)

    def __init__(self, pace: Pace, text: str) -> None:
        super().__init__(Settings())
        self._pace = pace
        self._text = text

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Bring the channel and the method."""
        realtime = kit.get(Realtime)
        realtime.add(Namespace("bench", prefix="bch"))
        realtime.methods(Methods(realtime, self._pace, self._text))
        yield

    @implements(authenticate)
    async def anybody(self, token: str) -> Actor | None:  # noqa: ARG002
        """Know everybody as somebody new."""
        return Actor(typeid("usr", uuid7()))

    @implements(can_subscribe)
    async def all_may_hear(self, request: SubscribeRequest, ctx: Context) -> Grant | None:  # noqa: ARG002
        """Allow everything."""
        return Grant()


def make_app(pace: Pace, text: str) -> tuple[Corekit, Any]:
    """Make the kit and its application."""
    config = Config.load(environ={}, overrides={"jobs": {"worker": False}})
    kit = Corekit([RealtimePlugin(), BenchPlugin(pace, text)], data_dir=tempfile.mkdtemp(), config=config)
    return kit, create_app(kit, lifespan=False)
