"""An account as a hot read finds it, from one of its sessions and in plain values: for GET /user and for refreshing."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, Select, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute

from corekit.context import Caller
from corekit.data import Id, Read, Sealed
from corekit.data.base import table_of
from corekit_auth.factor_list import factor_list, read_factors
from corekit_auth.models import IdentityRow, SessionRow, UserRow
from corekit_auth.models.plain import IdentityRecord, SessionRecord, UserRecord
from corekit_auth.objects import FactorObject

_PARTS = ((UserRow, UserRecord), (SessionRow, SessionRecord), (IdentityRow, IdentityRecord))
_USER = len(UserRecord.__struct_fields__)
_SESSION = _USER + len(SessionRecord.__struct_fields__)
_IDENTITY = _SESSION + len(IdentityRecord.__struct_fields__)


class Record(msgspec.Struct, frozen=True):
    """What `sessions.Account` is, of plain values; the session's key is still sealed."""

    user: UserRecord
    session: SessionRecord
    identities: list[IdentityRecord]
    factors: list[FactorObject]


class Records:
    """Reads them."""

    def __init__(self) -> None:
        self._read: Read | None = None

    async def read(self, caller: Caller, session_id: UUID) -> Record | None:
        """Read the account of a session; None where one of them has ended."""
        if self._read is None:
            self._read = Read(_statement(caller.kit.database.dialect))
        rows = await caller.read(self._read, session_id=session_id)
        if not rows:
            return None
        first = rows[0]
        user = UserRecord(*first[:_USER])
        await _open(caller, user, UserRow.phone)
        await _open(caller, user, UserRow.new_phone)
        identities = [IdentityRecord(*row[_SESSION:_IDENTITY]) for row in rows if row[_SESSION] is not None]
        factors = await read_factors(caller, first[_IDENTITY])
        return Record(user, SessionRecord(*first[_USER:_SESSION]), identities, factors)

    async def key(self, caller: Caller, session: SessionRecord) -> bytes:
        """Return the key of a session's refresh tokens (DecryptFailed)."""
        key: bytes = await caller.reveal(SessionRow.hmac_key, session.id, session.hmac_key)
        return key


async def _open(caller: Caller, user: UserRecord, attribute: InstrumentedAttribute[Any]) -> None:
    if isinstance(sealed := getattr(user, attribute.key), Sealed):
        setattr(user, attribute.key, await caller.reveal(attribute, user.id, sealed))


def _statement(dialect: str) -> Select[*tuple[Any, ...]]:
    user, session, identity = (table_of(row) for row, _ in _PARTS)
    columns: list[Column[Any]] = [table_of(row).c[name] for row, record in _PARTS for name in record.__struct_fields__]
    return (
        select(*columns, factor_list(dialect))
        .join_from(session, user, user.c.id == session.c.user_id)
        .outerjoin(identity, identity.c.user_id == user.c.id)
        .where(session.c.id == bindparam("session_id", type_=Id()), user.c.deleted_at.is_(None))
        .order_by(identity.c.created_at)
    )
