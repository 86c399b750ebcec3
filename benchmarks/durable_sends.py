"""Durable sends on SQLite through the whole service, against raw `sqlite3` with one commit per send, in one run."""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from corekit import Actor, Corekit
from corekit.contracts.auth import Auth
from corekit.contracts.messaging import CreateConversation, Messaging, PostMessage
from corekit.data import SqliteSettings
from corekit.data.options import pragmas
from corekit.settings import Config
from corekit.values import parse_id, uuid7
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin, lane_sqlite
from corekit_chat.body import body_hash
from corekit_chat.outgoing import Outgoing
from corekit_realtime import RealtimePlugin

SENDS = 2_000
ROUNDS = 5
BODY = "x" * 200


async def through_corekit(kit: Corekit, conversation: str, senders: list[UUID]) -> float:
    """Let all senders send at once, each awaiting its own commit; return sends per second."""
    messaging = kit.get(Messaging)

    async def one(sender: UUID) -> None:
        caller = kit.caller(Actor(sender))
        for _ in range(SENDS // len(senders)):
            await messaging.send(caller, conversation, PostMessage(client_id=uuid4().hex, body=BODY))

    began = time.perf_counter()
    await asyncio.gather(*(one(sender) for sender in senders))
    return SENDS / (time.perf_counter() - began)


def raw(path: Path, conversation: UUID, sender: UUID, clock: Corekit) -> float:
    """Run the same statements with one commit each, on one connection, without an event loop."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in pragmas(SqliteSettings()):
        connection.execute(statement)
    began = time.perf_counter()
    for _ in range(SENDS):
        item = Outgoing(
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
            created_at=clock.clock.now(),
            trace="",
        )
        connection.execute("BEGIN IMMEDIATE")
        lane_sqlite.send(connection, item)
        connection.execute("COMMIT")
    rate = SENDS / (time.perf_counter() - began)
    connection.close()
    return rate


async def main(folder: Path) -> None:
    """Take turns, and print medians."""
    config = Config.load(environ={}, overrides={"chat": {"limits": False}})
    async with Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin()], data_dir=folder, config=config) as kit:
        auth = kit.get(Auth)
        people = [
            (await auth.sign_up(kit.caller(), email=f"p{number}@example.com", password=uuid4().hex)).user_id
            for number in range(32)
        ]
        async with kit.context(Actor(people[0])) as ctx:
            request = CreateConversation(kind="group", title="room", members=[str(person) for person in people[1:]])
            conversation = (await kit.get(Messaging).create(ctx, request))[0].id
        rates: dict[str, list[float]] = {"raw": [], "1": [], "8": [], "32": []}
        for _ in range(ROUNDS):
            rates["raw"].append(
                await asyncio.to_thread(raw, kit.database.path, parse_id("cnv", conversation), people[0], kit)
            )
            for count in (1, 8, 32):
                rates[str(count)].append(await through_corekit(kit, conversation, people[:count]))
        print(f"raw sqlite3, one commit per send: {median(rates['raw']):7.0f} sends/s")
        for count in ("1", "8", "32"):
            ratio = median(ours / base for ours, base in zip(rates[count], rates["raw"], strict=True))
            print(f"corekit, {count:>2} senders:              {median(rates[count]):7.0f} sends/s, {ratio:.2f} × raw")
        print("goal: 8 senders ≥ 0.50 × raw")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(main(Path(place)))
