"""The second factors of an account as one value of a statement, so that reading an account stays one round trip."""

from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Text, literal_column

from corekit.context import Caller, Context
from corekit.data.base import from_micros
from corekit.data.crypto import Sealed
from corekit_auth.models import FactorRow
from corekit_auth.models.factors import FactorStatus, FactorType
from corekit_auth.objects import FactorObject

# Beside the identities, not joined with them: two joins would multiply their rows.
_LIST = """(SELECT {array}({row}(f.id, f.type, f.status, f.friendly_name, f.phone, {times}))
FROM auth_factors f WHERE f.user_id = auth_users.id)"""
_TIMES = ("f.last_challenged_at", "f.created_at", "f.updated_at")
_SQLITE = (
    _LIST.replace("f.id", "hex(f.id)", 1)
    .replace("{array}", "json_group_array")
    .replace("{row}", "json_array")
    .replace("{times}", ", ".join(_TIMES))
)
_POSTGRESQL = (
    _LIST.replace("{array}", "CAST(json_agg")
    .replace("{row}", "json_build_array")
    .replace("{times}", ", ".join(f"CAST(extract(epoch FROM {time}) * 1000000 AS bigint)" for time in _TIMES))
    .replace("\nFROM", " AS text)\nFROM", 1)
)


class _Row(msgspec.Struct, frozen=True, array_like=True):
    id: UUID
    type: FactorType
    status: FactorStatus
    friendly_name: str | None
    phone: str | None
    last_challenged_at: int | None
    created_at: int
    updated_at: int


def factor_list(dialect: str) -> ColumnElement[str | None]:
    """Return the column, for a statement that reads `auth_users`."""
    sql = _POSTGRESQL if dialect == "postgresql" else _SQLITE
    return literal_column(sql, Text)


async def read_factors(by: Caller | Context, text: str | None) -> list[FactorObject]:
    """Read what the column holds, oldest first; a number is under its person's key and costs a look for that."""
    if text is None or text == "[]":
        return []
    rows = sorted(msgspec.json.decode(text, type=list[_Row]), key=lambda row: (row.created_at, row.id))
    return [
        FactorObject(
            id=row.id,
            status=row.status,
            friendly_name=row.friendly_name or msgspec.UNSET,
            factor_type=row.type,
            phone=row.phone and await by.reveal(FactorRow.phone, row.id, Sealed(row.phone)),
            last_challenged_at=from_micros(row.last_challenged_at) if row.last_challenged_at is not None else None,
            created_at=from_micros(row.created_at),
            updated_at=from_micros(row.updated_at),
        )
        for row in rows
    ]
