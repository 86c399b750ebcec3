"""PostgreSQL's lane alone, against asyncpg's plain autocommit insert at as many connections, in one run."""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from kit_for_lanes import BODY, Run, Town, line, outgoing, race, town

from corekit.data.options import libpq_url
from corekit.testing import PostgresServer
from corekit.values import uuid7
from corekit_chat.messages import SEND

SENDS = {1: 500, 8: 2_000, 32: 3_000}
ROUNDS = 5


async def plain(connections: list["asyncpg.Connection[asyncpg.Record]"], senders: int) -> Run:
    """Insert one row per commit, each sender on a connection of its own."""
    sql = "INSERT INTO bench_plain VALUES ($1, $2, $3)"
    return await race(
        senders,
        SENDS[senders],
        lambda sender, _: connections[sender].execute(sql, uuid7(), BODY, datetime.now(UTC)),
    )


async def lane(place: Town, senders: int, *, hot: bool) -> Run:
    """Append at once, each sender awaiting its own commit; the lane has one connection."""
    append = place.kit.lane(SEND).append
    rooms = place.conversations[: 1 if hot else None]
    return await race(
        senders,
        SENDS[senders],
        lambda sender, turn: append(outgoing(rooms[(sender * 37 + turn) % len(rooms)], place.people[sender])),
    )


async def main(folder: Path, url: str) -> None:
    """Take turns, and print medians."""
    async with town(folder, url) as place:
        dsn = libpq_url(place.kit.database.url)
        connections = [await asyncpg.connect(dsn) for _ in range(max(SENDS))]
        await connections[0].execute(
            "CREATE TABLE bench_plain (id uuid PRIMARY KEY, body text, created_at timestamptz)"
        )
        base: dict[int, list[Run]] = {senders: [] for senders in SENDS}
        spread: dict[int, list[Run]] = {senders: [] for senders in SENDS}
        hot: dict[int, list[Run]] = {senders: [] for senders in SENDS}
        for _ in range(ROUNDS):
            for senders in SENDS:
                base[senders].append(await plain(connections, senders))
                spread[senders].append(await lane(place, senders, hot=False))
                hot[senders].append(await lane(place, senders, hot=True))
        for senders in SENDS:
            print(line(f"asyncpg, plain insert, {senders} connections", base[senders], base[senders], "itself"))
            print(line(f"lane, {senders} senders, 100 conversations", spread[senders], base[senders], "plain"))
            print(line(f"lane, {senders} senders, one conversation", hot[senders], base[senders], "plain"))
        print(line("one conversation: 32 senders", hot[32], hot[1], "1 sender"))
        print("goal: 8 senders ≥ 0.50 × plain; one conversation: 32 senders ≥ 1 × 1 sender")
        for connection in connections:
            await connection.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, PostgresServer.started() as server, server.database() as where:
        asyncio.run(main(Path(name), where))
