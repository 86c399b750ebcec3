"""A lane as a plugin would write it: words for rooms, each room counted without gaps."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import text

from corekit import Corekit
from corekit.data import Batch, DatabaseSettings, LaneSpec
from corekit.data.options import database_url, libpq_url
from corekit.errors import Conflict
from corekit.testing import make_kit

SETTINGS: dict[str, Any] = {"jobs": {"worker": False}}
MAKE = (
    "CREATE TABLE test_room (name TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
    """CREATE TABLE test_entry (room TEXT NOT NULL REFERENCES test_room DEFERRABLE INITIALLY DEFERRED,
       seq BIGINT NOT NULL, word TEXT NOT NULL UNIQUE, PRIMARY KEY (room, seq))""",
    "INSERT INTO test_room VALUES ('a', 0), ('b', 0)",
)


class Entry(msgspec.Struct, frozen=True):
    """A word for a room; `refuse` fails after it was written, `lost` fails at the commit."""

    room: str
    word: str
    refuse: bool = False
    lost: bool = False


def on_sqlite(connection: sqlite3.Connection, entry: Entry) -> int:
    """Take the next place and write, or find what is written."""
    if found := connection.execute("SELECT seq FROM test_entry WHERE word = ?", (entry.word,)).fetchone():
        return int(found[0])
    take = "UPDATE test_room SET seq = seq + 1 WHERE name = ? RETURNING seq"
    (seq,) = connection.execute(take, (entry.room,)).fetchone()
    room = "nowhere" if entry.lost else entry.room
    connection.execute("INSERT INTO test_entry (room, seq, word) VALUES (?, ?, ?)", (room, seq, entry.word))
    if entry.refuse:
        raise Conflict(entry.word)
    return int(seq)


ON_POSTGRESQL = """
WITH locked AS MATERIALIZED (
  SELECT 0::bigint AS ord FROM test_room WHERE name = ANY($5::text[]) ORDER BY name FOR NO KEY UPDATE
), item AS MATERIALIZED (
  SELECT i.*, old.seq AS old, old.seq IS NULL AND NOT i.refuse AS fresh,
         row_number() OVER (PARTITION BY i.room, old.seq IS NULL AND NOT i.refuse ORDER BY i.ord) AS n
    FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) WITH ORDINALITY i(room, word, refuse, lost, ord)
    LEFT JOIN LATERAL (SELECT seq FROM test_entry e WHERE e.word = i.word LIMIT 1) old ON true
), counted AS (
  UPDATE test_room SET seq = seq + k.n FROM (SELECT room, max(n) AS n FROM item WHERE fresh GROUP BY room) k
   WHERE name = k.room RETURNING name, seq - k.n AS seq
), placed AS MATERIALIZED (
  SELECT item.*, counted.seq + item.n AS seq FROM item JOIN counted ON counted.name = item.room WHERE item.fresh
), written AS (
  INSERT INTO test_entry (room, seq, word) SELECT CASE WHEN lost THEN 'nowhere' ELSE room END, seq, word FROM placed
)
SELECT item.ord, coalesce(item.old, placed.seq), item.refuse FROM item LEFT JOIN placed ON placed.ord = item.ord
UNION ALL SELECT ord, null, null FROM locked
"""


def answer(entry: Entry, row: Any) -> int:
    """Read what became of a word."""
    if row[2]:
        raise Conflict(entry.word)
    return int(row[1])


WRITE = LaneSpec(
    "test.write",
    on_sqlite,
    Batch(
        ON_POSTGRESQL,
        lambda entry: (entry.room, entry.word, entry.refuse, entry.lost),
        answer,
        once=lambda entry: entry.word,
        locks=True,
    ),
    key=lambda entry: entry.room,
)


def statement(sql: str, name: str = "test.statement", **fields: Any) -> LaneSpec[str, Any]:
    """Make a lane of a statement over words, for PostgreSQL alone; it answers the second column."""
    fields = {"once": lambda word: word, **fields}
    return LaneSpec(name, never, Batch(sql, lambda word: (word,), lambda _, row: row[1], **fields))


def never(_: object, __: object) -> Any:
    """Stand in for the other database."""
    raise NotImplementedError


@asynccontextmanager
async def rooms(database: DatabaseSettings, folder: Path) -> AsyncGenerator[Corekit]:
    """Start a kit; make the rooms."""
    async with make_kit(database=database, tmp_path=folder, settings=SETTINGS) as kit:
        await _make(kit)
        yield kit


async def _make(kit: Corekit) -> None:
    """Make the tables, as a migration would."""
    if kit.database.dialect == "sqlite":
        async with kit.database.engine().begin() as connection:
            for sql in MAKE:
                await connection.execute(text(sql))
        return
    owner = await asyncpg.connect(libpq_url(database_url(kit.database.settings.owner_url or kit.database.settings.url)))
    try:
        await owner.execute("; ".join((*MAKE, "GRANT SELECT, INSERT, UPDATE ON test_room, test_entry TO PUBLIC")))
    finally:
        await owner.close()


async def stored(kit: Corekit, room: str = "a") -> list[tuple[int, str]]:
    """Read a room, in order."""
    async with kit.database.engine().connect() as connection:
        rows = await connection.execute(
            text("SELECT seq, word FROM test_entry WHERE room = :room ORDER BY seq"), {"room": room}
        )
        return [(seq, word) for seq, word in rows]
