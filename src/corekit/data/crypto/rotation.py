"""Rotation: what is under an old key of the keyring comes under the active one, in batches, while others work.

Only two things are under a key of the keyring: the wrapped data keys, and values from before there were any.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, bindparam, func, inspect, select, tuple_, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Session, registry
from sqlalchemy.types import Text

from corekit.data.base import Base
from corekit.data.crypto.columns import Encrypted, reveal, seal
from corekit.data.crypto.keyring import Keyring
from corekit.data.crypto.keys import Sealed, key_id
from corekit.data.people import DekRow, wrap_place
from corekit.errors import DecryptFailed

BATCH = 500


class Batch(NamedTuple):
    """What one transaction did; `last` is where the next goes on, None at the end."""

    done: int
    failed: int
    last: Any


class Count(NamedTuple):
    """What is under one key of the keyring."""

    keys: int = 0
    values: int = 0


Step = Callable[[AsyncSession, Any], Awaitable[Batch]]


async def count(session: AsyncSession, tables: registry = Base.registry) -> Mapping[str, Count]:
    """Count per key of the keyring what is under it; a key that is not in the answer may go."""
    statement = select(DekRow.key_id, func.count()).group_by(DekRow.key_id)
    found = {name: Count(number) for name, number in (await session.execute(statement))}
    for attribute in await encrypted(session, tables):
        text = type_coerce(attribute, Text)
        named = (
            func.split_part(text, ".", 2)
            if session.get_bind().dialect.name == "postgresql"
            else func.substr(text, 4, func.instr(func.substr(text, 4), ".") - 1)
        )
        for name, number in await session.execute(select(named, func.count()).where(_direct(text)).group_by(named)):
            before = found.get(name, Count())
            found[name] = Count(before.keys, before.values + number)
    return found


async def steps(session: AsyncSession, keyring: Keyring, tables: registry = Base.registry) -> Mapping[str, Step]:
    """Name what a rotation does; each is called until its batch says that it was the last."""

    async def keys(session: AsyncSession, after: Any) -> Batch:
        return await _rewrap(session, keyring, after)

    def values(attribute: InstrumentedAttribute[Any]) -> Step:
        async def step(session: AsyncSession, after: Any) -> Batch:
            return await _reseal(session, attribute, after)

        return step

    columns = await encrypted(session, tables)
    return {"corekit_dek": keys} | {str(attribute): values(attribute) for attribute in columns}


async def encrypted(session: AsyncSession, tables: registry = Base.registry) -> list[InstrumentedAttribute[Any]]:
    """Name every encrypted column that this database has."""

    def there(sync: Session) -> list[InstrumentedAttribute[Any]]:
        names = set(inspect(sync.connection()).get_table_names())
        return [attribute for table, attribute in _encrypted(tables) if table.name in names]

    return await session.run_sync(there)


def _encrypted(tables: registry) -> Iterator[tuple[Table, InstrumentedAttribute[Any]]]:
    for mapper in sorted(tables.mappers, key=lambda mapper: str(mapper.local_table.description)):
        for column in mapper.local_table.columns:
            if isinstance(column.type, Encrypted) and isinstance(column.table, Table):
                yield column.table, getattr(mapper.class_, mapper.get_property_by_column(column).key)


async def _rewrap(session: AsyncSession, keyring: Keyring, after: Any) -> Batch:
    """Wrap stale data keys again; one that was shredded or wrapped meanwhile is left as it is."""
    stale = select(DekRow.subject, DekRow.wrapped).where(DekRow.key_id != keyring.active)
    if after is not None:
        stale = stale.where(DekRow.subject > after)
    rows = (await session.execute(stale.order_by(DekRow.subject).limit(BATCH))).all()
    changes = []
    for subject, old in rows:
        try:
            wrapped = keyring.seal(keyring.open(old, wrap_place(subject)), wrap_place(subject))
        except DecryptFailed:
            continue
        changes.append({"s": subject, "old": old, "wrapped": wrapped, "key_id": key_id(wrapped, "")})
    if changes:
        same = (DekRow.subject == bindparam("s"), DekRow.wrapped == bindparam("old"))
        await session.execute(_table(DekRow).update().where(*same), changes)
    return Batch(len(changes), len(rows) - len(changes), rows[-1][0] if len(rows) == BATCH else None)


async def _reseal(session: AsyncSession, attribute: InstrumentedAttribute[Any], after: Any) -> Batch:
    """Seal values that are directly under the keyring with the data key of their person or of the system."""
    mapper, kind = inspect(attribute.class_), attribute.type
    text, ids = type_coerce(attribute, Text), mapper.primary_key
    owner = mapper.local_table.columns[kind.subject] if isinstance(kind, Encrypted) and kind.subject else None
    direct = select(text, *ids, *([] if owner is None else [owner])).where(_direct(text))
    if after is not None:
        direct = direct.where(
            tuple_(*ids) > tuple_(*(bindparam(None, at, id_.type) for at, id_ in zip(after, ids, strict=True)))
        )
    rows = (await session.execute(direct.order_by(*ids).limit(BATCH))).all()
    failed = 0
    for old, *rest in rows:
        pk = tuple(rest[: len(ids)])
        try:
            plain = await reveal(session, attribute, pk, Sealed(old))
        except DecryptFailed:
            failed += 1
            continue
        new = await seal(session, attribute, pk, plain, *rest[len(ids) :])
        same = [id_ == part for id_, part in zip(ids, pk, strict=True)]
        await session.execute(
            update(mapper.local_table).where(*same, text == old).values({attribute.property.columns[0]: new})
        )
    return Batch(len(rows) - failed, failed, tuple(rows[-1][1 : 1 + len(ids)]) if len(rows) == BATCH else None)


def _direct(text: ColumnElement[str]) -> ColumnElement[bool]:
    return text.like("v1.%") & text.not_like("v1.@%")


def _table(row: type[Base]) -> Table:
    table = row.__table__
    assert isinstance(table, Table)  # noqa: S101  # for the type checker
    return table
