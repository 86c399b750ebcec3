"""SQLite's lane alone, against raw `sqlite3` with the same statements and one commit per send, in one run."""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from kit_for_lanes import Run, Town, line, outgoing, race, town

from corekit.data import SqliteSettings
from corekit.data.options import pragmas
from corekit_chat import lane_sqlite
from corekit_chat.messages import SEND

SENDS = 2_000
ROUNDS = 5


def raw(place: Town, *, hot: bool) -> Run:
    """One connection, no event loop."""
    connection = sqlite3.connect(place.kit.database.path, isolation_level=None)
    for statement in pragmas(SqliteSettings()):
        connection.execute(statement)
    rooms = place.conversations[: 1 if hot else None]
    began = time.perf_counter()
    for number in range(SENDS):
        item = outgoing(rooms[number % len(rooms)], place.people[0])
        connection.execute("BEGIN IMMEDIATE")
        lane_sqlite.send(connection, item)
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return Run(SENDS / took, 0)


async def lane(place: Town, senders: int, *, hot: bool) -> Run:
    """Append at once, each sender awaiting its own commit."""
    append = place.kit.lane(SEND).append
    rooms = place.conversations[: 1 if hot else None]
    return await race(
        senders,
        SENDS,
        lambda sender, turn: append(outgoing(rooms[(sender * 37 + turn) % len(rooms)], place.people[sender])),
    )


async def main(folder: Path) -> None:
    """Take turns, and print medians."""
    async with town(folder) as place:
        for hot in (False, True):
            base: list[Run] = []
            runs: dict[int, list[Run]] = {1: [], 8: [], 32: []}
            for _ in range(ROUNDS):
                base.append(await asyncio.to_thread(raw, place, hot=hot))
                for senders, found in runs.items():
                    found.append(await lane(place, senders, hot=hot))
            where = "one conversation" if hot else "100 conversations"
            print(line(f"raw sqlite3, one commit per send, {where}", base, base, "itself"))
            for senders, found in runs.items():
                print(line(f"lane, {senders} senders, {where}", found, base, "raw"))
    print("goal: 32 senders ≥ 4 × raw with p99 ≤ 10 ms, 1 sender ≥ 0.75 × raw")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
