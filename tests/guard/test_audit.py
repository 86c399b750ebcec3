"""The audit log: written with what it tells, seen by who acted and by auditors, never changed."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from corekit import Actor, Corekit
from corekit.context import NOBODY, Caller, Client, Context, Kit
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery, Target
from corekit.data import DatabaseSettings
from corekit.errors import Forbidden, Invalid, ReadonlyContext, Refused
from corekit.guard import SqlAudit
from corekit.guard.audit_rows import AuditRow
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import Page

ALICE, BOB, AUDITOR = Actor("alice"), Actor("bob"), Actor("auditor", roles=frozenset({"auditor"}))
HERE, THERE = UUID(int=0xA), UUID(int=0xB)
SHOP = Actor.of("shop", 1)


class ShopPlugin(Plugin[Settings]):
    """Has a purpose."""

    name = "shop"


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    settings = {"access": {"roles": {"auditor": ["audit:read"]}}}
    async with make_kit([ShopPlugin()], database=database, tmp_path=tmp_path, clock=clock, settings=settings) as kit:
        yield kit


async def record(caller: Caller, action: str = "shop.opened", **said: Any) -> None:
    async with caller.begin() as ctx:
        await ctx.get(Audit).record(ctx, action, **said)


async def find(caller: Caller, **query: Any) -> Page[AuditEntry]:
    async with caller.begin(readonly=True) as ctx:
        return await ctx.get(Audit).find(ctx, AuditQuery(**query))


async def actions(caller: Caller, **query: Any) -> list[str]:
    return [entry.action for entry in (await find(caller, **query)).items]


def everything(kit: Kit) -> Caller:
    return kit.caller().system("corekit.audit")


async def test_an_entry_says_who_what_and_from_where(kit: Corekit, clock: FakeClock) -> None:
    client = Client(address="192.0.2.7", user_agent="browser " + "x" * 600)
    caller = replace(kit.caller(ALICE, client), tenant=HERE, request_id="r-1")
    target, details = Target("order", BOB.id), {"reason": "late", "items": [1, 2], "who": SHOP.id}
    await record(caller, "shop.order.closed", target=target, details=details)
    (entry,) = (await find(caller)).items
    assert entry == AuditEntry(
        id=entry.id,
        created_at=clock.now(),
        tenant=HERE,
        actor=ALICE.id,
        kind="user",
        purpose="",
        on_behalf_of=None,
        action="shop.order.closed",
        target=Target("order", str(BOB.id)),
        details={"reason": "late", "items": [1, 2], "who": str(SHOP.id)},
        request_id="r-1",
        address="192.0.2.7",
        user_agent=client.user_agent[:512],
    )


async def test_every_kind_of_context_records(kit: Corekit) -> None:
    staff = replace(kit.caller(AUDITOR), on_behalf_of=BOB)
    for caller in (
        kit.caller(ALICE),
        kit.caller(Actor("robot", "service")),
        kit.caller(NOBODY),
        kit.caller(ALICE).system("shop"),
        kit.caller().system("shop"),
        staff,
    ):
        await record(caller)
    await record(kit.caller().system("shop"), actor=BOB.id)
    found = (await find(everything(kit), limit=200)).items
    assert {(entry.actor, entry.kind, entry.purpose, entry.on_behalf_of) for entry in found} == {
        (ALICE.id, "user", "", None),
        (Actor("robot", "service").id, "service", "", None),
        (None, "nobody", "", None),
        (ALICE.id, "system", "shop", None),
        (None, "system", "shop", None),
        (AUDITOR.id, "user", "", BOB.id),
        (BOB.id, "system", "shop", None),
    }
    assert len(found) == 7


async def test_an_entry_is_there_exactly_when_the_work_is(kit: Corekit) -> None:
    async def ends(error: Exception) -> None:
        async with kit.caller(ALICE).begin() as ctx:
            await ctx.get(Audit).record(ctx, f"shop.{type(error).__name__.lower()}")
            raise error

    for error in (ValueError(), Invalid(), Refused()):
        with pytest.raises(type(error)):
            await ends(error)
    assert await actions(everything(kit)) == ["shop.refused"]
    with pytest.raises(ReadonlyContext):
        async with kit.caller(ALICE).begin(readonly=True) as ctx:
            await ctx.get(Audit).record(ctx, "shop.opened")


async def test_an_entry_is_found_in_its_own_transaction(kit: Corekit) -> None:
    async with kit.caller(ALICE).begin() as ctx:
        await ctx.get(Audit).record(ctx, "shop.opened")
        assert [entry.action for entry in (await ctx.get(Audit).find(ctx, AuditQuery())).items] == ["shop.opened"]


async def test_who_acted_sees_it_and_auditors_of_the_tenant_do(kit: Corekit) -> None:
    for actor, tenant in ((ALICE, HERE), (BOB, HERE), (ALICE, THERE), (NOBODY, HERE)):
        await record(replace(kit.caller(actor), tenant=tenant), f"shop.{tenant.int}.{actor.kind}")
    await record(replace(kit.caller(BOB), tenant=HERE).system("shop"), "shop.elevated")

    async def seen(actor: Actor, tenant: UUID) -> list[str]:
        return sorted(await actions(replace(kit.caller(actor), tenant=tenant)))

    assert await seen(ALICE, HERE) == ["shop.10.user"]
    assert await seen(ALICE, THERE) == ["shop.11.user"]
    assert await seen(BOB, HERE) == ["shop.10.user", "shop.elevated"]
    assert await seen(NOBODY, HERE) == []
    assert await seen(AUDITOR, HERE) == ["shop.10.nobody", "shop.10.user", "shop.10.user", "shop.elevated"]
    assert await seen(AUDITOR, THERE) == ["shop.11.user"]
    assert len(await actions(everything(kit))) == 5


@pytest.mark.parametrize("actor", [ALICE, BOB, AUDITOR, NOBODY], ids=["alice", "bob", "auditor", "nobody"])
async def test_nobody_changes_or_deletes_an_entry(kit: Corekit, actor: Actor) -> None:
    await record(kit.caller(ALICE))
    for statement in (
        "UPDATE corekit_audit SET action = 'other'",
        "UPDATE corekit_audit SET details = '{}' WHERE kind = 'user'",
        "DELETE FROM corekit_audit",
    ):
        with pytest.raises(DBAPIError):
            async with kit.caller(actor).begin() as ctx:
                await ctx.session.execute(text(statement))
    row: Any
    with pytest.raises(DBAPIError):
        async with kit.caller(ALICE).begin() as ctx:
            row = (await ctx.session.scalars(select(AuditRow))).one()
            row.action = "other"
    assert await actions(everything(kit)) == ["shop.opened"]


async def test_not_even_a_system_purpose_changes_an_entry(kit: Corekit) -> None:
    await record(kit.caller(ALICE))
    with pytest.raises(DBAPIError, match="append-only"):
        async with everything(kit).begin() as ctx:
            await ctx.session.execute(text("UPDATE corekit_audit SET action = 'other'"))
    with pytest.raises(DBAPIError, match="append-only"):
        async with AsyncSession(kit.database.engine("service")) as session, session.begin():
            await session.execute(text("UPDATE corekit_audit SET address = ''"))
    assert await actions(everything(kit)) == ["shop.opened"]


async def test_nobody_writes_in_the_name_of_another(kit: Corekit) -> None:
    with pytest.raises(Forbidden):
        await record(kit.caller(ALICE), actor=BOB.id)
    with pytest.raises(Forbidden):
        await record(kit.caller(NOBODY), actor=BOB.id)
    for actor, values in (
        (ALICE, {"actor": BOB.id}),
        (ALICE, {"actor": None}),
        (ALICE, {"actor": ALICE.id, "kind": "system"}),
        (ALICE, {"actor": ALICE.id, "tenant": THERE}),
        (NOBODY, {"actor": ALICE.id}),
    ):
        with pytest.raises(DBAPIError):
            async with replace(kit.caller(actor), tenant=HERE).begin() as ctx:
                ctx.session.add(_row(ctx, **values))
    assert await actions(everything(kit)) == []
    async with replace(kit.caller(ALICE), tenant=HERE).begin() as ctx:
        ctx.session.add(_row(ctx, actor=ALICE.id))
    assert await actions(everything(kit)) == ["shop.forged"]


def _row(ctx: Context, **values: Any) -> AuditRow:
    given = {"id": UUID(int=9), "tenant": HERE, "kind": "user", "purpose": "", "details": {}, "action": "shop.forged"}
    given |= {"request_id": "", "address": "", "user_agent": "", "created_at": ctx.now()}
    return AuditRow(**given | values)


@pytest.mark.parametrize(
    ("pointer", "action", "said"),
    [
        ("action", "x" * 65, {}),
        ("action", "", {}),
        ("action", "Shop opened", {}),
        ("action", "shop.", {}),
        ("details", "shop.opened", {"details": {"reason": "x" * 4096}}),
        ("details", "shop.opened", {"details": {"reason": object()}}),
        ("details", "shop.opened", {"details": {"reason": "\0"}}),
        ("target.kind", "shop.opened", {"target": Target("x" * 65, "1")}),
        ("target.kind", "shop.opened", {"target": Target("", "1")}),
        ("target.id", "shop.opened", {"target": Target("order", "x" * 129)}),
        ("target.id", "shop.opened", {"target": Target("order", "a\0")}),
    ],
)
async def test_what_does_not_fit_is_refused(kit: Corekit, pointer: str, action: str, said: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        await record(kit.caller(ALICE), action, **said)
    assert refused.value.extensions["pointer"] == pointer
    assert await actions(everything(kit)) == []


async def test_the_largest_that_fits(kit: Corekit) -> None:
    details = {"reason": "x" * (4096 - len('{"reason":""}'))}
    await record(kit.caller(ALICE), "x" * 64, target=Target("k" * 64, "i" * 128), details=details)
    (entry,) = (await find(kit.caller(ALICE))).items
    assert entry.details == details
    await record(kit.caller(NOBODY, Client("a\0b" * 99, "\0agent")), "shop.cut")
    (entry,) = (await find(everything(kit), action="shop.cut")).items
    assert (len(entry.address), entry.user_agent) == (64, "agent")


class Elsewhere(SqlAudit):
    """Keeps it somewhere else."""


class ElsewherePlugin(Plugin[Settings]):
    """Replaces the core's."""

    name = "elsewhere"
    provides = (Audit,)

    def lifespan(self, kit: Kit) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def lifespan() -> AsyncGenerator[None]:
            kit.provide(Audit, Elsewhere())
            yield

        return lifespan()


class NeedyPlugin(Plugin[Settings]):
    """Needs one, whoever provides it."""

    name = "needy"
    requires = (Audit,)


async def test_a_plugin_may_replace_it(tmp_path: Path) -> None:
    async with make_kit([NeedyPlugin()], tmp_path=tmp_path / "one") as kit:
        assert type(kit.get(Audit)) is SqlAudit
    async with make_kit([NeedyPlugin(), ElsewherePlugin()], tmp_path=tmp_path / "two") as kit:
        assert type(kit.get(Audit)) is Elsewhere
