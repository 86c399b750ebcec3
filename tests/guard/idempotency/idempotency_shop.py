"""A plugin with a table of its own and two routes that may be repeated: one is done at once, one by a job later."""

import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
from litestar import Response, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import Connection, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit import Actor, Caller, Context, Corekit, Plugin, Settings, enqueue, implements, job
from corekit.contracts.auth import authenticate
from corekit.data import Base, DatabaseSettings
from corekit.data.migrating import alone, transaction
from corekit.errors import Invalid, NotFound, Problem, Refused, Unavailable
from corekit.guard import IDEMPOTENCY_PURPOSE, Idempotency, IdempotencyKey
from corekit.guard.idempotency.store import TABLE
from corekit.testing import make_kit, serve
from corekit.values import Clock, uuid7
from corekit.web import Ctx, Key, Who, idempotent, requires

PURPOSE = "shop.sell"
GUARDS = [requires(), idempotent()]
SALES, ORDERS = "/shop/v1/sales", "/shop/v1/orders"
GIFTS = "/shop/v1/sales/00000000-0000-0000-0000-000000000001/gifts"
TEA = {"item": "tea"}


class Own(DeclarativeBase):
    """A base beside the real one, so that this table is in nobody's schema."""

    type_annotation_map = Base.type_annotation_map


class OrderRow(Own):
    """One effect: an order."""

    __tablename__ = "shop_order"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    item: Mapped[str]
    count: Mapped[int]
    state: Mapped[str]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What is ordered; an item of this name decides how it ends."""

    item: str
    count: int = 1
    notes: dict[str, str] = {}


class Sold(msgspec.Struct):
    """What is answered."""

    id: UUID
    item: str
    count: int
    state: str


class Declined(Problem):
    """The money is not there."""

    slug, status, code, title = "refused", 402, 103, "Declined"


class Shop(Plugin[Settings]):
    """Sells at once, or takes an order that a job fulfils."""

    name = "shop"
    purposes: Mapping[str, str] = {PURPOSE: "Orders are written by the shop alone."}

    def __init__(self, dies_at: str = "") -> None:
        super().__init__(Settings())
        self.renders = 0
        self.runs = 0
        self.pause: Callable[[], Awaitable[None]] | None = None  # between the commit and the reply
        self._dies_at = dies_at

    def routes(self) -> Sequence[Any]:
        shop = self

        @post("/shop/v1/sales", guards=GUARDS)
        async def sell(caller: Who, data: JSONBody[Order], idempotency_key: Key) -> Response[Sold]:
            sold = await shop.sell(caller, data, idempotency_key)
            shop.renders += 1
            return Response(sold, status_code=201, headers={"Location": f"/shop/v1/sales/{sold.id}", "X-Own": "1"})

        @post("/shop/v1/orders", guards=GUARDS)
        async def order(caller: Who, data: JSONBody[Order], idempotency_key: Key) -> Response[Sold]:
            taken = await shop.order(caller, data, idempotency_key)
            if taken.state == "declined":
                raise Declined("no money", order=str(taken.id))
            return Response(taken, status_code=202 if taken.state == "processing" else 200)

        @post("/shop/v1/sales/{sale:uuid}/gifts", guards=GUARDS)
        async def gift(ctx: Ctx, sale: FromPath[UUID], idempotency_key: Key) -> Sold:
            """Claim in the context that the route is given: a person's."""
            keys = ctx.get(Idempotency)
            claim = await keys.claim(ctx, idempotency_key)
            if claim.resource is None:
                await keys.attach(ctx, claim, f"gift:{sale}", settled=True)
            return Sold(sale, "gift", 1, "sold")

        @post("/shop/v1/forgotten", guards=GUARDS)
        async def forgotten(ctx: Ctx, how: FromQuery[str], idempotency_key: Key) -> str:
            keys = ctx.get(Idempotency)
            if how != "unclaimed":
                claim = await keys.claim(ctx, idempotency_key)
                if how == "unsettled":
                    await keys.attach(ctx, claim, str(uuid7()))
            return how

        @post("/shop/v1/unguarded", guards=[requires()])
        async def unguarded(idempotency_key: Key) -> None:
            """Take a key that no guard has read."""

        return [sell, order, gift, forgotten, unguarded]

    async def sell(self, caller: Caller, order: Order, key: IdempotencyKey) -> Sold:
        """Do it all in the transaction of the claim."""
        async with caller.system(PURPOSE).begin() as ctx:
            keys = ctx.get(Idempotency)
            claim = await keys.claim(ctx, key)
            self._perhaps_die("claimed")
            resource = claim.resource
            if resource is None:
                self.runs += 1
                resource = await self._make(ctx, order, "sold")
                await keys.attach(ctx, claim, resource, settled=True)
            sold = await self._read(ctx, resource)
        self._perhaps_die("committed")
        if self.pause:
            await self.pause()
        if order.item == "unavailable":
            raise Unavailable("come again")
        return sold

    async def order(self, caller: Caller, order: Order, key: IdempotencyKey) -> Sold:
        """Take the order and leave the rest to a job."""
        async with caller.system(PURPOSE).begin() as ctx:
            keys = ctx.get(Idempotency)
            claim = await keys.claim(ctx, key)
            resource = claim.resource
            if resource is None:
                self.runs += 1
                resource = await self._make(ctx, order, "processing")
                await keys.attach(ctx, claim, resource)
                await enqueue(ctx, self.fulfil, resource)
        self._perhaps_die("driving")
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            return await self._read(ctx, resource)

    @job("shop.fulfil")
    async def fulfil(self, ctx: Context, resource: str) -> None:
        row = await ctx.session.get_one(OrderRow, UUID(resource))
        row.state = "declined" if row.item == "dear" else "delivered"
        await ctx.get(Idempotency).settle(ctx, resource)

    async def _make(self, ctx: Context, order: Order, state: str) -> str:
        if order.item == "banned":
            raise Refused("not to you")
        if order.item == "unknown":
            raise NotFound
        if order.count < 1:
            raise Invalid("1 or more", pointer="/count")
        row = OrderRow(id=uuid7(), item=order.item, count=order.count, state=state)
        ctx.session.add(row)
        await ctx.session.flush()
        return str(row.id)

    async def _read(self, ctx: Context, resource: str) -> Sold:
        row = await ctx.session.get_one(OrderRow, UUID(resource))
        return Sold(row.id, row.item, row.count, row.state)

    def _perhaps_die(self, where: str) -> None:
        if where == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @implements(authenticate)
    async def by_name(self, token: str, caller: Caller) -> Actor | None:
        return Actor(token)


def make(connection: Connection) -> None:
    """Make the shop's table as its owner, for every role."""
    with transaction(connection):
        Own.metadata.create_all(connection)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE ON shop_order TO PUBLIC")


@asynccontextmanager
async def opened(
    shop: Shop, database: DatabaseSettings, folder: Path, clock: Clock | None = None, **tables: Any
) -> AsyncGenerator[Corekit]:
    """Start a kit with the shop and its table; jobs run where `jobs={"worker": True}` says so."""
    settings = {"jobs": {"worker": False}} | tables
    async with make_kit([shop], database=database, tmp_path=folder, clock=clock, settings=settings) as kit:
        async with alone(kit.database) as connection:
            await connection.run_sync(make)
        yield kit


@asynccontextmanager
async def served(kit: Corekit) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve it to Alice."""
    async with serve(kit) as url, httpx.AsyncClient(base_url=url, headers=as_("alice"), timeout=30) as client:
        yield client


def as_(name: str, key: str | None = None) -> dict[str, str]:
    """Make the headers of a request."""
    return {"Authorization": f"Bearer {name}"} | ({} if key is None else {"Idempotency-Key": key})


async def effects(kit: Corekit) -> int:
    """Count the orders."""
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        return await ctx.session.scalar(select(func.count(OrderRow.id))) or 0


async def rows(kit: Corekit) -> list[tuple[str, int, str | None]]:
    """Look at all keys: state, token and resource."""
    async with kit.caller().system(IDEMPOTENCY_PURPOSE).begin(readonly=True) as ctx:
        found = await ctx.session.execute(select(TABLE.c.state, TABLE.c.lock_token, TABLE.c.resource))
        return [(state, token, resource) for state, token, resource in found]


def problem(answer: httpx.Response, status: int, slug: str) -> None:
    """Check that an answer is a problem document, and no replay."""
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:corekit:problem:{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "idempotent-replayed" not in answer.headers
