"""A process that sends through chat's lane until it has sent everything or is killed, and says what was acknowledged.

Its argument is an `Order` as JSON. It writes a line `key seq dup` for each answer, after that was given, and
`again reason` where it was told to try again.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from corekit import Corekit
from corekit.data import DatabaseSettings
from corekit.errors import Unavailable
from corekit.settings import Config
from corekit.values import uuid7
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_chat.messages import SEND
from corekit_chat.outgoing import Outgoing, Stored
from corekit_realtime import RealtimePlugin


class Order(msgspec.Struct):
    """Send number n goes to room n, counted round, with the key n, counted modulo `keys`."""

    database: DatabaseSettings
    folder: str
    rooms: list[UUID]
    sender: UUID
    first: int
    last: int
    keys: int
    tasks: int


def make_kit(database: DatabaseSettings, folder: str) -> Corekit:
    """Assemble what every process on this database has."""
    config = Config.load(environ={}, overrides={"jobs": {"worker": False}, "chat": {"limits": False}})
    return Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin()], database=database, data_dir=folder, config=config)


def outgoing(room: UUID, sender: UUID, key: str) -> Outgoing:
    """Make a message; all of one key are the same."""
    return Outgoing(
        id=uuid7(),
        outbox=uuid7(),
        conversation=room,
        tenant=None,
        sender=sender,
        client_id=key,
        body_hash=sha256(key.encode()).digest(),
        kind="text",
        body=key,
        reply_to=None,
        created_at=datetime.now(UTC),
        trace="",
    )


async def run(order: Order) -> None:
    """Send it all, each task one after the other."""
    async with make_kit(order.database, order.folder) as kit:
        lane = kit.lane(SEND)

        async def send(number: int) -> Stored:
            while True:
                room = order.rooms[number % len(order.rooms)]
                try:
                    return await lane.append(outgoing(room, order.sender, f"key-{number % order.keys}"))
                except Unavailable as error:
                    os.write(1, f"again {error} {error.__cause__}\n".encode())
                    await asyncio.sleep(0.05)

        async def task(which: int) -> None:
            for number in range(order.first + which, order.last, order.tasks):
                stored = await send(number)
                os.write(1, f"key-{number % order.keys} {stored.seq} {stored.dup}\n".encode())

        await asyncio.gather(*(task(which) for which in range(order.tasks)))


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Order)))
