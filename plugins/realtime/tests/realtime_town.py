"""A town for the gateway's tests: people who sign in by name, rooms with a log, squares without, a few methods."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
from msgspec import structs
from realtime_wire import Wire
from sqlalchemy import select

from corekit import Actor, Caller, Context, Corekit, Kit, Plugin, Settings, implements
from corekit.context import Proof
from corekit.contracts.auth import Denied, authenticate
from corekit.contracts.realtime import (
    Grant,
    Hello,
    Namespace,
    Publication,
    PublishRequest,
    Realtime,
    SubscribeRequest,
    Welcome,
    can_publish,
    can_subscribe,
    connecting,
    method,
)
from corekit.data.outbox import OutboxRow
from corekit.errors import Conflict, Forbidden
from corekit.testing import FakeClock
from corekit.values import parse_id, typeid
from corekit_realtime.node import Node

PEOPLE = ("alice", "bob", "carol", "dave")
_IDS = UUID(int=7)


def room(name: str, family: str = "room") -> str:
    """Name a channel."""
    return f"{family}:{typeid('rom', uuid5(_IDS, name))}"


def usr(name: str) -> str:
    """Write a person's id as the wire does."""
    return typeid("usr", Actor(name).id)


class Log:
    """A log in memory that can be slow, broken, or not there."""

    def __init__(self) -> None:
        self.rows: dict[UUID, list[bytes]] = {}
        self.epoch = "epoch"
        self.delay = 0.0
        self.broken = False
        self.reads = 0

    async def position(self, ctx: Context, channel: UUID) -> tuple[str, int]:
        """Return the end, as of a moment within the call."""
        await self._wait()
        found = self.epoch, len(self.rows.get(channel, ()))
        await self._wait()
        return found

    async def since(self, ctx: Context, channel: UUID, offset: int, limit: int) -> list[Publication]:
        """Return a range."""
        self.reads += 1
        await self._wait()
        if self.broken:
            raise OSError("no log")
        rows = self.rows.get(channel, [])
        found = [Publication(data, place) for place, data in enumerate(rows, 1)][offset : offset + limit]
        await self._wait()
        return found

    def append(self, channel: str, data: bytes) -> int:
        """Write an entry; return its offset."""
        rows = self.rows.setdefault(parse_id("rom", channel.partition(":")[2]), [])
        rows.append(data)
        return len(rows)

    async def _wait(self) -> None:
        if self.delay:
            await asyncio.sleep(somewhat(self.delay))


class Words(msgspec.Struct):
    """Something said."""

    text: str


class Methods:
    """What may be called."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0

    @method("say")
    async def say(self, caller: Caller, request: Words) -> Words:
        """Repeat."""
        return Words(f"{caller.actor.kind} {request.text}")

    @method("look", readonly=True)
    async def look(self, ctx: Context, request: Words) -> dict[str, bool]:
        """Tell about the context."""
        return {"readonly": ctx.readonly}

    @method("trespass")
    async def trespass(self, ctx: Context, request: Words) -> int:
        """Look where nobody may."""
        return len((await ctx.session.scalars(select(OutboxRow.id))).all())

    @method("wait")
    async def wait(self, caller: Caller, request: Words) -> Words:
        """Answer when the gate opens."""
        self.running += 1
        await self.gate.wait()
        return request

    @method("quarrel")
    async def quarrel(self, ctx: Context, request: Words) -> Words:
        """Refuse."""
        raise Conflict(f"{request.text} is a secret")

    @method("stumble")
    async def stumble(self, caller: Caller, request: Words) -> Words:
        """Break."""
        raise ZeroDivisionError(request.text)


class TownPlugin(Plugin[Settings]):
    """Knows its people by name; a token may be changed into any other answer."""

    name = "town"
    requires = (Realtime,)
    purposes = {"town": "Writes into the town's rooms."}

    def __init__(self, name: str = "town") -> None:
        super().__init__(Settings())
        self.log = Log()
        self.methods = Methods()
        self.tokens: dict[str, Actor | Denied | None] = {person: Actor(person) for person in PEOPLE}
        self.barred: set[tuple[UUID, str]] = set()
        self.unwelcome: set[str] = set()
        self.grant = Grant()
        self.crowd = 100
        self.also: tuple[str, ...] = ()
        self.questions: list[tuple[UUID, Any]] = []

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Bring channels and methods."""
        realtime = self.realtime = kit.get(Realtime)
        realtime.add(Namespace("room", prefix="rom", presence=True, join_leave=True), log=self.log)
        realtime.add(
            Namespace("square", prefix="rom", publish=True, presence=True, join_leave=True, join_leave_max=self.crowd)
        )
        realtime.add(Namespace("board", prefix="rom", server_side=True, history=False), log=self.log)
        realtime.methods(self.methods)
        yield

    async def tell(self, channel: str, data: bytes) -> int:
        """Write an entry and publish it."""
        offset = self.log.append(channel, data)
        await self.realtime.publish(channel, data, offset=offset)
        return offset

    @implements(authenticate)
    async def by_name(self, token: str) -> Actor | Denied | None:
        """Know people by name."""
        return self.tokens.get(token)

    @implements(connecting)
    async def welcome(self, hello: Hello, ctx: Context) -> Welcome | None:
        """Greet."""
        self.questions.append((ctx.actor.id, structs.replace(hello, client="")))
        if hello.name in self.unwelcome:
            raise Forbidden
        return Welcome(data={"hello": hello.data}, conn_info={"from": "town"}, channels=self.also)

    @implements(can_subscribe)
    async def may_hear(self, request: SubscribeRequest, ctx: Context) -> Grant | None:
        """Let in who is not barred."""
        self.questions.append((ctx.actor.id, request))
        return None if (ctx.actor.id, request.channel) in self.barred else self.grant

    @implements(can_publish)
    async def may_speak(self, request: PublishRequest, ctx: Context) -> bool | None:
        """Let speak who is not barred."""
        self.questions.append((ctx.actor.id, request))
        return (ctx.actor.id, request.channel) not in self.barred


def signed_in(kit: Kit, name: str, *, session: UUID | None = None, seconds: float | None = None) -> Actor:
    """Make an actor with a proof."""
    ends = None if seconds is None else kit.clock.now() + timedelta(seconds=seconds)
    return Actor(name, proof=Proof(session_id=session, expires_at=ends))


def numbered(count: int) -> list[bytes]:
    """Make some entries."""
    return [b'{"n":%d}' % number for number in range(1, count + 1)]


@dataclass
class Served:
    """One served kit, and the clients that a test opened."""

    url: str
    kit: Corekit
    town: TownPlugin
    node: Node
    clock: FakeClock
    stack: AsyncExitStack
    codec: str = "json"

    async def open(self, token: str | None = None, **options: Any) -> Wire:
        """Open a client that goes away with the test."""
        wire = await Wire.open(self.url, token, **({"codec": self.codec} | options))
        self.stack.push_async_callback(wire.close)
        return wire


Serve = Callable[..., AbstractAsyncContextManager[Served]]


def somewhat(seconds: float) -> float:
    """Return any part of a time."""
    return random.random() * seconds  # noqa: S311  # no secret


def shuffled(items: list[Any]) -> list[Any]:
    """Return them in any order."""
    return random.sample(items, len(items))
