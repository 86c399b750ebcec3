"""Column types: the ORM and raw SQL read back the same, on both databases."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData, func, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit import Actor, Corekit
from corekit.data import Base
from corekit.data.base import from_micros, to_micros
from corekit.testing import make_kit
from corekit.values import uuid7


class Own(DeclarativeBase):
    """A base beside the real one, so that these tables are in nobody's schema."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    type_annotation_map = Base.type_annotation_map


class ThingRow(Own):
    """One column of every type."""

    __tablename__ = "test_thing"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    other: Mapped[UUID | None]
    kind: Mapped[Literal["good", "bad"]]
    big: Mapped[int]
    happened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    data: Mapped[dict[str, Any] | None]
    items: Mapped[list[Any]]
    blob: Mapped[bytes]
    flag: Mapped[bool]


EVERYBODY = Actor.system("corekit.jobs")  # the table has no policy
INDIA = timezone(timedelta(hours=5, minutes=30))
MOMENT = datetime(2030, 1, 1, 17, 30, 0, 123457, tzinfo=INDIA)


@pytest.fixture
async def kit(database_url: str, tmp_path: Path) -> AsyncGenerator[Corekit]:
    """Start a kit beside a table of every type."""
    async with make_kit(database=database_url, tmp_path=tmp_path) as kit:
        async with kit.database.engine().begin() as connection:
            await connection.run_sync(Own.metadata.create_all)
        yield kit


def thing(**values: Any) -> ThingRow:
    defaults: dict[str, Any] = {"id": uuid7(), "kind": "good", "big": 2**62, "happened_at": MOMENT, "items": []}
    return ThingRow(**defaults | {"blob": b"\0\xff", "flag": True} | values)


async def stored(kit: Corekit, row: ThingRow) -> tuple[ThingRow, dict[str, Any]]:
    """Store a row; return it as the ORM and as the driver read it."""
    async with kit.context(EVERYBODY) as ctx:
        ctx.session.add(row)
    async with kit.context(EVERYBODY, readonly=True) as ctx:
        found = (await ctx.session.scalars(select(ThingRow).where(ThingRow.id == row.id))).one()
        raw = (await ctx.session.execute(text("SELECT * FROM test_thing"))).mappings().one()
        return found, dict(raw)


async def test_ids_are_16_bytes_on_sqlite_and_uuids_on_postgresql(kit: Corekit) -> None:
    row, raw = await stored(kit, thing(other=uuid7()))
    assert isinstance(row.id, UUID)
    for value, seen in ((row.id, raw["id"]), (row.other, raw["other"])):
        assert value is not None
        assert seen == (value.bytes if kit.database.dialect == "sqlite" else value)
    async with kit.context(EVERYBODY, readonly=True) as ctx:
        assert await ctx.session.scalar(select(ThingRow.big).where(ThingRow.id.in_([row.id, uuid7()]))) == 2**62


async def test_times_keep_their_microseconds_and_come_back_in_utc(kit: Corekit) -> None:
    row, raw = await stored(kit, thing())
    assert row.happened_at == MOMENT
    assert row.happened_at.tzinfo is UTC
    assert row.ended_at is None
    assert raw["ended_at"] is None
    seen = raw["happened_at"]
    assert (from_micros(seen) if kit.database.dialect == "sqlite" else seen) == MOMENT
    async with kit.context(EVERYBODY, readonly=True) as ctx:
        before, after = MOMENT - timedelta(microseconds=1), MOMENT + timedelta(microseconds=1)
        assert await ctx.session.scalar(select(func.count()).where(ThingRow.happened_at.between(before, after))) == 1
        assert await ctx.session.scalar(select(func.count()).where(ThingRow.happened_at < MOMENT)) == 0


async def test_a_time_without_a_zone_is_refused(kit: Corekit) -> None:
    with pytest.raises(StatementError, match="a time without a zone"):
        await stored(kit, thing(happened_at=datetime(2030, 1, 1)))  # noqa: DTZ001  # that is what is tested


DOCUMENT: dict[str, Any] = {"a": [1, 2.5, None, "ä\n"], "nested": {"b": True}, "": {}}


@pytest.mark.parametrize("data", [DOCUMENT, {}, None])
async def test_documents_are_read_back(kit: Corekit, data: dict[str, Any] | None) -> None:
    row, raw = await stored(kit, thing(data=data, items=["x", {"y": None}]))
    assert row.data == data
    assert row.items == ["x", {"y": None}]
    assert (raw["data"] is None) == (data is None), "no document is NULL, not the document `null`"


async def test_no_document_is_null_however_it_is_written(kit: Corekit) -> None:
    row, _ = await stored(kit, thing(data={}))
    async with kit.context(EVERYBODY) as ctx:
        await ctx.session.execute(update(ThingRow).values(data=None))
    async with kit.context(EVERYBODY, readonly=True) as ctx:
        assert await ctx.session.scalar(select(ThingRow.id).where(ThingRow.data.is_(None))) == row.id


async def test_a_document_takes_what_structs_hold(kit: Corekit) -> None:
    """Ids and times become texts, on both databases alike."""
    someone = uuid7()
    row, _ = await stored(kit, thing(data={"id": someone, "at": MOMENT}))
    assert row.data == {"id": str(someone), "at": "2030-01-01T17:30:00.123457+05:30"}


async def test_literals_bytes_and_flags(kit: Corekit) -> None:
    row, raw = await stored(kit, thing())
    assert (row.kind, raw["kind"]) == ("good", "good")
    assert (row.blob, bytes(raw["blob"])) == (b"\0\xff", b"\0\xff")
    assert row.flag is True


@given(st.datetimes(timezones=st.just(INDIA)))
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
