"""Subscribing on a real database, whose readers see the past."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

from realtime_town import TownPlugin, Wire, room
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit import Actor, Context, implements
from corekit.contracts.realtime import Grant, Publication, SubscribeRequest, can_subscribe
from corekit.data import Base, DatabaseSettings, Policy
from corekit.data.migrating import alone
from corekit.kit import Corekit
from corekit.testing import make_kit, serve
from corekit.values import parse_id
from corekit_realtime import RealtimePlugin

ROOM = room("one")


class Own(DeclarativeBase):
    """A base beside the real one, so that the table is in nobody else's schema."""

    type_annotation_map = Base.type_annotation_map


class LogRow(Own):
    """An entry of a channel."""

    __tablename__ = "town_log"

    channel: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


LOG = Policy.public(LogRow, "Everybody hears everything in this town.")


class TableLog:
    """A log in a table; the length of a channel is its last offset."""

    async def position(self, ctx: Context, channel: UUID) -> tuple[str, int]:
        """Count."""
        rows = await ctx.session.execute(
            text("SELECT count(*) FROM town_log WHERE channel = :channel"), _named(channel)
        )
        return "epoch", rows.scalar_one()

    async def since(self, ctx: Context, channel: UUID, offset: int, limit: int) -> list[Publication]:
        """Select."""
        statement = (
            "SELECT place FROM town_log WHERE channel = :channel AND place > :offset ORDER BY place LIMIT :limit"
        )
        rows = await ctx.session.execute(text(statement), _named(channel) | {"offset": offset, "limit": limit})
        return [Publication(b"%d" % place, place) for (place,) in rows]


class SlowTownPlugin(TownPlugin):
    """Asks the database who may hear, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.log = TableLog()  # type: ignore[assignment]  # another log
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    @implements(can_subscribe, tryfirst=True)
    async def may_hear_slowly(self, request: SubscribeRequest, ctx: Context) -> Grant | None:
        """Look something up: from here on SQLite shows this moment."""
        await ctx.session.execute(text("SELECT count(*) FROM town_log"))
        self.asked.set()
        await self.go_on.wait()
        return None

    async def write(self, kit: Corekit, place: int) -> None:
        """Commit an entry, then publish it."""
        async with kit.context(Actor.system("town")) as ctx:
            entry = _named(parse_id("rom", ROOM.partition(":")[2])) | {"place": place}
            await ctx.session.execute(text("INSERT INTO town_log VALUES (:channel, :place)"), entry)
        await self.realtime.publish(ROOM, b"%d" % place, offset=place)


async def test_what_is_committed_while_the_plugins_are_asked_is_not_lost(database: DatabaseSettings) -> None:
    town = SlowTownPlugin()
    async with AsyncExitStack() as stack:
        kit = await stack.enter_async_context(make_kit([RealtimePlugin(), town], database=database))
        await make_table(kit)
        await town.write(kit, 1)
        wire = await Wire.open(await stack.enter_async_context(serve(kit)), "alice")
        stack.push_async_callback(wire.close)
        asking = wire.begin(subscribe={"channel": ROOM})
        await asyncio.wait_for(town.asked.wait(), 5)
        await town.write(kit, 2)
        town.go_on.set()
        reached = (await asking)["subscribe"]["offset"]
        assert [offset for offset, _ in await wire.heard(2 - reached)] == list(range(reached + 1, 3))
        await town.write(kit, 3)
        assert [offset for offset, _ in await wire.heard(1)] == [3]


async def make_table(kit: Corekit) -> None:
    """Add a table that everybody may read to a kit that runs."""
    kit.database.policies.append(LOG)
    async with alone(kit.database) as connection:
        await connection.run_sync(Own.metadata.create_all)
        if kit.database.dialect == "postgresql":
            await connection.commit()
    await kit.schema.up()


def _named(channel: UUID) -> dict[str, object]:
    return {"channel": str(channel)}
