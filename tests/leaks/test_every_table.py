"""Every table of everything that is installed, a row of Bob's in each: nobody else reads or changes any."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from leak_world import ALICE, BOB, REFUSED, SECRET
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, Table, Text, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from corekit import Corekit
from corekit.assembly import discover
from corekit.context import NOBODY, Actor, Context
from corekit.data import Base, DatabaseSettings
from corekit.data.base import Id, Instant, Json
from corekit.data.crypto.columns import Encrypted
from corekit.data.crypto.keys import Sealed
from corekit.settings import Config

Rows = dict[str, list[tuple[Any, ...]]]
OPEN = {"tenant", "left_seq", "key"}  # empty: no tenant hides the row, nothing of it is over
NONE_YET = {"capture_pending", "refund_pending"}  # or the sums of a payment would not fit into each other
COUNTERPART = UUID(int=6)  # the other account of a posting, which is never the same one twice
OTHER: dict[type, Any] = {  # of a key that no row has yet
    Id: UUID(int=5), BigInteger: 8, Text: "new", LargeBinary: b"new", Instant: datetime(2031, 1, 1, tzinfo=UTC)
}  # fmt: skip
PUBLIC = {"corekit_dek"}  # what everybody reads, and makes, on purpose: its policy says why

pytestmark = pytest.mark.filterwarnings("ignore:DELETE statement on table")


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Corekit]:
    config = Config.load(environ={}, overrides={"jobs": {"worker": False}})
    async with Corekit(discover(None), database=database, data_dir=tmp_path, config=config) as made:
        async with AsyncSession(made.database.engine("service")) as session, session.begin():
            for table in tables(made):
                await session.execute(insert(table).values(bobs_row(table)))
                if table.name == "payments_ledger_account":
                    await session.execute(insert(table).values({**bobs_row(table), "id": COUNTERPART}))
        yield made


def tables(kit: Corekit) -> list[Table]:
    """List the policed tables, parents first; what only migrations write, the service does not either."""
    policed = {policy.table for policy in kit.database.policies}
    return [table for table in Base.metadata.sorted_tables if table in policed]


def bobs_row(table: Table) -> dict[str, Any]:
    """Make the row: every id is Bob's, so that whatever names a person names him."""
    return {column.name: _value(column) for column in table.columns}


def _value(column: Column[Any]) -> Any:
    if column.nullable and (column.name in OPEN or isinstance(column.type, Instant)):
        return None
    made: dict[type, Any] = {
        Id: COUNTERPART if column.name == "credit" else BOB.id,
        Instant: datetime(2030, 1, 1, tzinfo=UTC),
        Json: {"said": SECRET},
        Text: SECRET,
        BigInteger: 0 if column.name in NONE_YET else 7,
        Boolean: True,
        LargeBinary: SECRET.encode(),
        Encrypted: Sealed("v1.key.nonce.sealed"),  # nobody opens it here
    }
    return made[type(column.type)]


async def rows(kit: Corekit) -> Rows:
    """Read everything with service rights."""
    async with AsyncSession(kit.database.engine("service")) as session:
        return {
            table.name: [tuple(row) for row in await session.execute(select(table).order_by(*table.primary_key))]
            for table in tables(kit)
        }


def _other(table: Table) -> dict[str, Any]:
    """Copy the row under another key."""
    row = bobs_row(table)
    for column in table.primary_key if not any(key.foreign_keys for key in table.primary_key) else ():
        row[column.name] = OTHER[type(column.type)]
    return row


async def by_orm(ctx: Context, table: Table) -> Any:
    (row,) = [mapper.class_ for mapper in Base.registry.mappers if mapper.local_table is table]
    key = [_value(column) for column in table.primary_key]
    return [*(await ctx.session.scalars(select(row))).all(), *filter(None, [await ctx.session.get(row, key)])]


async def by_core(ctx: Context, table: Table) -> Any:
    return (await ctx.session.execute(select(table))).all()


async def by_text(ctx: Context, table: Table) -> Any:
    return (await ctx.session.execute(text(f"SELECT * FROM {table.name}"))).all()  # noqa: S608


async def by_the_driver(ctx: Context, table: Table) -> Any:
    connection = await ctx.session.connection()
    return (await connection.exec_driver_sql(f"SELECT 1 FROM {table.name}")).all()  # noqa: S608


async def by_counting(ctx: Context, table: Table) -> Any:
    return await ctx.session.scalar(select(func.count()).select_from(table))


async def by_updating(ctx: Context, table: Table) -> Any:
    column = list(table.columns)[-1]
    result: Any = await ctx.session.execute(update(table).values({column: column}))
    return result.rowcount


async def by_deleting(ctx: Context, table: Table) -> Any:
    result: Any = await ctx.session.execute(delete(table))
    return result.rowcount


async def by_a_copy(ctx: Context, table: Table) -> Any:
    await ctx.session.execute(insert(table).values(_other(table)))


READS: tuple[Callable[[Context, Table], Awaitable[Any]], ...] = (by_orm, by_core, by_text, by_the_driver, by_counting)
WRITES = (by_updating, by_deleting, by_a_copy)


@pytest.mark.parametrize("actor", [ALICE, NOBODY], ids=["alice", "nobody"])
async def test_nothing_of_any_table_is_seen_or_changed(kit: Corekit, actor: Actor) -> None:
    before, leaks = await rows(kit), []
    for table in tables(kit):
        for probe in (by_updating, by_deleting) if table.name in PUBLIC else (*READS, *WRITES):
            try:
                async with kit.context(actor) as ctx:
                    seen = await probe(ctx, table)
            except REFUSED:
                continue
            if seen or await rows(kit) != before:
                leaks.append((table.name, probe.__name__, seen))
    assert leaks == []
    assert await rows(kit) == before


async def test_with_service_rights_every_probe_finds_the_row(kit: Corekit) -> None:
    idle = []
    for table in tables(kit):
        for probe in READS:
            async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
                if not await probe(ctx, table):
                    idle.append((table.name, probe.__name__))
    assert idle == []


async def test_bob_sees_his_own(kit: Corekit) -> None:
    """So it is who asks that makes the difference, wherever somebody may read at all."""
    async with kit.context(BOB, readonly=True) as ctx:
        seen = {table.name for table in tables(kit) if await _seen(ctx, table)}
    assert seen >= {"auth_users", "auth_identities", "auth_sessions", "chat_conversation", "chat_member"}


async def _seen(ctx: Context, table: Table) -> bool:
    try:
        async with ctx.session.begin_nested():
            return bool(await by_core(ctx, table))
    except REFUSED:
        return False
