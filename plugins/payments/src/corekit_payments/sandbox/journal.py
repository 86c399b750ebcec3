"""What the sandbox has done, in a file of its own: one line per effect, whatever corekit's books say."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS effect (
  n INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, reference TEXT NOT NULL, kind TEXT NOT NULL,
  amount INTEGER NOT NULL, currency TEXT NOT NULL, ref TEXT NOT NULL, parent TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS effect_parent ON effect (parent);
CREATE TABLE IF NOT EXISTS object (
  n INTEGER PRIMARY KEY, ref TEXT NOT NULL UNIQUE, reference TEXT NOT NULL, kind TEXT NOT NULL, means TEXT NOT NULL,
  state TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, automatic INTEGER NOT NULL,
  parent TEXT NOT NULL, error TEXT, at TEXT NOT NULL, looks INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS object_reference ON object (reference);
CREATE TABLE IF NOT EXISTS sent (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, ref TEXT, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notice (
  n INTEGER PRIMARY KEY, at TEXT NOT NULL, ref TEXT NOT NULL, reference TEXT NOT NULL, kind TEXT NOT NULL,
  state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
"""

Row = dict[str, Any]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was held, taken, released or given back: `ref` is the object, `parent` the authorisation it is of."""

    n: int
    at: str
    key: str
    reference: str
    kind: str
    amount: int
    currency: str
    ref: str
    parent: str


class Journal:
    """The file; several processes may have it open, each transaction has its own connection and is on disk after it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._prepared = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open one that nobody else writes beside."""
        if not self._prepared:
            self._prepare()
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def effects(self) -> list[Effect]:
        """List what has been done, in its order."""
        with self.transaction() as connection:
            return [Effect(**row) for row in connection.execute("SELECT * FROM effect ORDER BY n")]

    def notices(self, after: int) -> list[Row]:
        """List what was to be told after one notice, in its order."""
        with self.transaction() as connection:
            return [*connection.execute("SELECT * FROM notice WHERE n > ? ORDER BY n", (after,))]

    def secret(self) -> str:
        """Return what notices are signed with where the settings name nothing: drawn once, and kept in the file."""
        with self.transaction() as connection:
            drawn = f"sbsec_{secrets.token_hex(32)}"
            connection.execute("INSERT INTO secret VALUES (1, ?) ON CONFLICT DO NOTHING", (drawn,))
            row: Row = connection.execute("SELECT text FROM secret").fetchone()
            return str(row["text"])

    def _prepare(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        self._prepared = True

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        connection.row_factory = _row
        return connection


def journal_of(data_dir: Path, instance: str) -> Path:
    """Name the file in which an instance of the sandbox keeps what it did."""
    return data_dir / "payments" / f"{instance}.db"


def _row(cursor: sqlite3.Cursor, values: tuple[object, ...]) -> dict[str, object]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}
