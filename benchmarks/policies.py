"""What policies cost: reading 50 messages of a conversation as a member, beside the same elevated, on both databases.

`uv run python benchmarks/policies.py`; each pair runs in turns within one process, and the median ratio is told.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import select

from corekit import Actor, Corekit
from corekit.data import DatabaseSettings
from corekit.data.migrating import alone
from corekit.testing import PostgresServer, make_kit
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_chat.models import ConversationRow, MemberRow, MessageRow
from corekit_realtime import RealtimePlugin

ALICE = Actor("alice")
ROUNDS, READS = 15, 40
NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def fill(kit: Corekit) -> UUID:
    """Make 20 conversations of 5 people and 200 messages each; return one that Alice is in."""
    conversations = [uuid4() for _ in range(20)]
    counts = {"epoch": "e", "last_seq": 200, "message_count": 200, "member_count": 5}
    unread = {"since_seq": 0, "delivered_seq": 0, "read_seq": 0, "read_no": 0}
    made = {"created_at": NOW}
    async with kit.context(Actor.system("chat")) as ctx:
        for id_ in conversations:
            ctx.session.add(ConversationRow(id=id_, kind="group", created_by=ALICE.id, active_at=NOW, **counts, **made))
        await ctx.session.flush()
        for id_ in conversations:
            for usr in (ALICE.id, *(uuid4() for _ in range(4))):
                ctx.session.add(MemberRow(conversation=id_, usr=usr, role="member", joined_at=NOW, **unread, **made))
            for seq in range(1, 201):
                text = {"client_id": str(seq), "body_hash": b"", "kind": "text", "body": "hello " * 8, "rev": 1}
                place = {"conversation": id_, "seq": seq, "no": seq, "id": uuid4()}
                ctx.session.add(MessageRow(sender=ALICE.id, **place, **text, **made))
    if kit.database.dialect == "postgresql":  # as it does by itself, a minute later
        async with alone(kit.database) as connection:
            await connection.exec_driver_sql("ANALYZE")
            await connection.commit()
    return conversations[3]


async def read(kit: Corekit, actor: Actor, conversation: UUID, *, rows: bool) -> None:
    """Read a page in a transaction of its own, as entities or as plain rows."""
    what = select(MessageRow.id, MessageRow.seq, MessageRow.body) if rows else select(MessageRow)
    page = what.where(MessageRow.conversation == conversation).order_by(MessageRow.seq.desc()).limit(50)
    async with kit.context(actor, readonly=True) as ctx:
        found = (await ctx.session.execute(page)).all()
    assert len(found) == 50


async def rate(work: Callable[[], Awaitable[None]], tasks: int) -> float:
    """Count how many of these run in a second, with so many at once."""

    async def several() -> None:
        for _ in range(READS // tasks):
            await work()

    started = time.perf_counter()
    await asyncio.gather(*(several() for _ in range(tasks)))
    return READS / (time.perf_counter() - started)


async def compare(kit: Corekit, name: str) -> None:
    """Tell the median rates and the median of the ratios, policed over elevated."""
    conversation = await fill(kit)
    system = Actor.system("chat")
    for rows in (False, True):
        for tasks in (1, 4):
            pairs = []
            for _ in range(ROUNDS):
                policed = await rate(lambda: read(kit, ALICE, conversation, rows=rows), tasks)  # noqa: B023
                plain = await rate(lambda: read(kit, system, conversation, rows=rows), tasks)  # noqa: B023
                pairs.append((policed, plain))
            ratio = statistics.median(policed / plain for policed, plain in pairs)
            policed, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
            kind = "rows" if rows else "entities"
            print(f"{name:<11} {kind:<9} {tasks} at once {policed:7.0f}/s, plain {plain:7.0f}/s, ratio {ratio:.2f}")


async def main(postgresql: DatabaseSettings) -> None:
    """Compare on both databases."""
    with tempfile.TemporaryDirectory() as folder:
        for name, database in (("sqlite", None), ("postgresql", postgresql)):
            async with AsyncExitStack() as stack:
                plugins = [AuthPlugin(), RealtimePlugin(), ChatPlugin()]
                # Elevated work on SQLite has one reader; with more for people, the two could not be compared.
                tables = {"jobs": {"worker": False}} | ({} if database else {"database": {"sqlite": {"readers": 1}}})
                made = make_kit(plugins, database=database, tmp_path=Path(folder) / name, settings=tables)
                await compare(await stack.enter_async_context(made), name)


if __name__ == "__main__":
    with PostgresServer.started() as server, server.database() as url:
        settings = asyncio.run(server.settings(url))
        asyncio.run(main(settings))
