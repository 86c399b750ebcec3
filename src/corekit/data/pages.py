"""Pages of rows, the newest first: keyset cursors over an instant and the id that decides between equal ones."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession

from corekit.data.base import from_micros, to_micros
from corekit.errors import Invalid
from corekit.values import decode_cursor, encode_cursor


async def newest(
    session: AsyncSession, chosen: Select[*tuple[Any, ...]], at: Any, id_: Any, *, limit: int, cursor: str | None
) -> tuple[Sequence[Any], str | None]:
    """Return `limit` results of a select, the newest by the columns `at` and `id_` first, and the next page's cursor.

    The first entity of each result has both columns.

    Raises:
        Invalid: the cursor is none of this list.

    """
    asked = chosen.order_by(at.desc(), id_.desc()).limit(limit + 1)
    found = (await session.execute(asked if cursor is None else asked.where(older(at, id_, cursor)))).all()
    if len(found) <= limit:
        return found, None
    last = found[limit - 1][0]
    return found[:limit], newest_cursor(getattr(last, at.key), getattr(last, id_.key))


def newest_cursor(at: datetime, id_: UUID) -> str:
    """Name the place after a row."""
    return encode_cursor(to_micros(at), str(id_))


def older(at: Any, id_: Any, cursor: str, *, pointer: str = "/cursor") -> ColumnElement[bool]:
    """Ask for what comes after a cursor (Invalid)."""
    micros, last = decode_cursor(cursor, tuple[int, UUID], pointer=pointer)
    try:
        then = from_micros(micros)
    except OverflowError:
        raise Invalid("not a cursor of this list", pointer=pointer) from None
    return or_(at < then, and_(at == then, id_ < last))
