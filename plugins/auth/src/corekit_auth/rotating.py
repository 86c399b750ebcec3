"""The lane `auth.rotate`: refreshes that come together are counted in one commit."""

import sqlite3
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from corekit.data import Batch, LaneSpec
from corekit.data.base import to_micros


class Rotation(msgspec.Struct, frozen=True):
    """A refresh of a session that was read at `seen`: by whom, from where, and when."""

    session: UUID
    seen: int
    now: datetime
    user_agent: str | None
    ip: str | None


_COUNT_UP = """
UPDATE auth_sessions SET counter = counter + 1, refreshed_at = :now, updated_at = :now, user_agent = :agent, ip = :ip
 WHERE id = :id AND counter = :seen RETURNING counter
"""
_COUNT_ALL_UP = """
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::text[], $5::text[]) WITH ORDINALITY
    AS i(id, seen, now, agent, ip, ord)
), counted AS (
  UPDATE auth_sessions s
     SET counter = s.counter + 1, refreshed_at = i.now, updated_at = i.now, user_agent = i.agent, ip = i.ip
    FROM item i WHERE s.id = i.id AND s.counter = i.seen RETURNING i.ord, s.counter
)
SELECT item.ord, counted.counter FROM item LEFT JOIN counted USING (ord)
"""


def _rotate(connection: sqlite3.Connection, item: Rotation) -> int | None:
    named = {"id": item.session.bytes, "seen": item.seen, "now": to_micros(item.now)}
    row = connection.execute(_COUNT_UP, named | {"agent": item.user_agent, "ip": item.ip}).fetchone()
    return None if row is None else int(row[0])


def _columns(item: Rotation) -> tuple[Any, ...]:
    return (item.session, item.seen, item.now, item.user_agent, item.ip)


# The answer is the new counter, or None where somebody else was faster or the session has ended.
ROTATE = LaneSpec[Rotation, int | None](
    "auth.rotate",
    _rotate,
    Batch(_COUNT_ALL_UP, _columns, lambda _, row: row[1], once=lambda item: item.session),
    key=lambda item: item.session,
)
