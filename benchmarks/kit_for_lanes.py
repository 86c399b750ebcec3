"""What the benchmarks of the lanes share: a kit with people and conversations, items, and senders that take turns."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import UUID, uuid4

from corekit import Actor, Corekit, Plugin
from corekit.contracts.auth import Auth
from corekit.contracts.messaging import CreateConversation, Messaging
from corekit.settings import Config
from corekit.values import parse_id, uuid7
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_chat.body import body_hash
from corekit_chat.outgoing import Outgoing
from corekit_realtime import RealtimePlugin

BODY = "x" * 200
PEOPLE = 32


@dataclass
class Town:
    """A started kit, 32 people, and conversations that all of them are in."""

    kit: Corekit
    people: list[UUID]
    conversations: list[UUID]


@dataclass
class Run:
    """Sends per second, and what one of a hundred waited longer than, in milliseconds."""

    rate: float
    p99: float


@asynccontextmanager
async def town(
    folder: Path,
    database: str | None = None,
    conversations: int = 100,
    plugins: Sequence[Plugin[Any]] = (),
    *,
    worker: bool = False,
) -> AsyncGenerator[Town]:
    """Start a kit without rate limits and fill it."""
    overrides = {"chat": {"limits": False}, "jobs": {"worker": worker}}
    config = Config.load(environ={}, overrides=overrides)
    every = [AuthPlugin(), RealtimePlugin(), ChatPlugin(), *plugins]
    async with Corekit(every, database=database, data_dir=folder, config=config) as kit:
        auth = kit.get(Auth)
        people = [
            (await auth.sign_up(kit.caller(), email=f"p{number}@example.com", password=uuid4().hex)).user_id
            for number in range(PEOPLE)
        ]
        request = CreateConversation(kind="group", title="room", members=[str(person) for person in people[1:]])
        rooms = []
        for _ in range(conversations):
            async with kit.context(Actor(people[0])) as ctx:
                rooms.append(parse_id("cnv", (await kit.get(Messaging).create(ctx, request))[0].id))
        yield Town(kit, people, rooms)


def outgoing(conversation: UUID, sender: UUID) -> Outgoing:
    """Make a message with a key of its own: a repeated one would measure the answer to a repeat."""
    return Outgoing(
        id=uuid7(),
        outbox=uuid7(),
        conversation=conversation,
        tenant=None,
        sender=sender,
        client_id=uuid4().hex,
        body_hash=body_hash("text", BODY, None),
        kind="text",
        body=BODY,
        reply_to=None,
        created_at=datetime.now(UTC),
        trace="",
    )


async def race(senders: int, sends: int, send: Callable[[int, int], Awaitable[Any]]) -> Run:
    """Let all senders send at once, each awaiting its own commit; `send` gets the sender's number and its turn."""
    waited: list[float] = []

    async def one(sender: int) -> None:
        for turn in range(sends // senders):
            began = time.perf_counter()
            await send(sender, turn)
            waited.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(sender) for sender in range(senders)))
    return Run(len(waited) / (time.perf_counter() - began), quantiles(waited, n=100)[-1] * 1000)


def ratio(runs: Sequence[Run], base: Sequence[Run]) -> float:
    """Return the median of the ratios, each of two runs that followed each other."""
    return median(run.rate / other.rate for run, other in zip(runs, base, strict=True))


def line(name: str, runs: Sequence[Run], base: Sequence[Run], of: str) -> str:
    """Write one row."""
    rate, p99 = median(run.rate for run in runs), median(run.p99 for run in runs)
    return f"{name:44} {rate:8.0f} sends/s  p99 {p99:6.1f} ms  {ratio(runs, base):.2f} × {of}"
