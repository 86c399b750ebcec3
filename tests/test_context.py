"""Callers and contexts: one actor, one transaction, and what may not be opened inside another."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError

from corekit import NOBODY, Actor, Client, Context, Corekit, Event, Plugin, Settings, emit, enqueue, job
from corekit.context import Proof
from corekit.data import DatabaseSettings, LaneSpec
from corekit.data.outbox import OutboxRow
from corekit.errors import Forbidden, InsideContext, PluginError, ReadonlyContext, Refused, Unauthenticated
from corekit.testing import FakeClock, act_as, make_kit
from corekit.values import typeid

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "jobs": {"worker": False},
    "access": {"roles": {"cashier": ["till:open"]}, "grants": {str(Actor("bob").id): ["cashier"]}},
}
LANE = LaneSpec[int, int]("test.lane", lambda _, item: item, None)  # type: ignore[arg-type]  # never reaches a database


class Noted(Event, frozen=True, tag="test.noted"):
    """Something to count."""

    n: int = 0


class Notes(Plugin[Settings]):
    """Elevates for two purposes."""

    name = "notes"
    purposes = {"notes.tidy": "Tidies everybody's notes."}

    @job("notes.work")
    async def work(self, ctx: Context, n: int) -> None: ...


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    """Start a kit whose outbox nobody empties."""
    async with make_kit([Notes()], database=database, tmp_path=tmp_path, clock=clock, settings=SETTINGS) as kit:
        yield kit


async def recorded(kit: Corekit) -> int:
    """Count committed events."""
    async with kit.context(Actor.system("notes"), readonly=True) as ctx:
        return await ctx.session.scalar(select(func.count(OutboxRow.id))) or 0


async def test_a_context_commits_at_its_end(kit: Corekit) -> None:
    async with kit.context(Actor("alice")) as ctx:
        await emit(ctx, Noted())
        assert ctx.actor == Actor("alice")
        assert await recorded(kit) == 0
    assert await recorded(kit) == 1


async def test_whatever_is_raised_rolls_back(kit: Corekit) -> None:
    with pytest.raises(Forbidden):
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Noted())
            await ctx.session.flush()
            raise Forbidden
    assert await recorded(kit) == 0


async def test_a_cancelled_context_rolls_back_and_frees_the_writer(kit: Corekit) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Noted())
            await ctx.session.flush()
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await recorded(kit) == 0
    async with asyncio.timeout(5), kit.context(Actor("bob")) as ctx:
        await emit(ctx, Noted())
    assert await recorded(kit) == 1


async def test_refused_commits_first_and_is_raised_again(kit: Corekit) -> None:
    told: list[str] = []

    async def tell() -> None:
        told.append("committed")

    refusal = Refused("too often")
    with pytest.raises(Refused) as caught:
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Noted())
            ctx.on_commit(tell)
            raise refusal
    assert caught.value is refusal
    assert await recorded(kit) == 1
    assert told == ["committed"]


async def test_callbacks_run_after_the_commit_and_never_after_a_rollback(kit: Corekit) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append(await recorded(kit))

    async with kit.context(Actor("alice")) as ctx:
        ctx.on_commit(look)
        await emit(ctx, Noted())
        assert seen == []
    with pytest.raises(RuntimeError):
        async with kit.context(Actor("alice")) as ctx:
            ctx.on_commit(look)
            raise RuntimeError
    assert seen == [1]
    async with kit.context(Actor("alice"), readonly=True) as ctx:
        ctx.on_commit(look)
    assert seen == [1, 1]


async def test_a_callback_may_open_a_context_and_one_that_fails_harms_no_other(kit: Corekit) -> None:
    async def fail() -> None:
        raise ValueError("not the caller's business")

    async def write() -> None:
        async with kit.context(Actor("alice")) as ctx:
            await emit(ctx, Noted())

    async with kit.context(Actor("alice")) as ctx:
        ctx.on_commit(fail)
        ctx.on_commit(write)
    assert await recorded(kit) == 1


async def test_nothing_is_borrowed_before_the_first_statement(kit: Corekit) -> None:
    """Eleven open contexts are more than any pool has connections for."""
    entered = [kit.caller().begin() for _ in range(11)]
    for number, one in enumerate(entered):
        await asyncio.create_task(one.__aenter__(), name=f"holder {number}")
    async with asyncio.timeout(5), kit.context(Actor("alice")) as ctx:
        await emit(ctx, Noted())
    for one in entered:
        await one.__aexit__(None, None, None)


@pytest.mark.parametrize("outer", [True, False], ids=["in a readonly one", "in a writing one"])
async def test_a_writing_context_does_not_open_inside_another(kit: Corekit, outer: bool) -> None:
    async with kit.context(Actor("alice"), readonly=outer):
        with pytest.raises(InsideContext, match="a writing context"):
            async with kit.context(Actor("alice")):
                pass
        async with kit.context(Actor("alice"), readonly=True):
            pass
        with pytest.raises(InsideContext, match=r"lane test\.lane"):
            await kit.lane(LANE).append(1)
        with pytest.raises(InsideContext, match="that verb"):
            act_as(kit, "alice").demand_free("that verb")
    async with kit.context(Actor("alice")):
        pass


async def test_another_task_may_open_one(kit: Corekit) -> None:
    async with kit.context(Actor("alice")):
        assert await asyncio.create_task(recorded(kit)) == 0


async def test_a_session_does_not_outlive_its_context(kit: Corekit) -> None:
    async with kit.context(Actor("alice")) as ctx:
        session = ctx.session
        await session.scalar(select(1))
    with pytest.raises(InsideContext, match="this context is over"):
        _ = ctx.session
    with pytest.raises(Exception, match="closed"):
        await session.scalar(select(1))
    async with asyncio.timeout(5), kit.context(Actor("alice")) as ctx:
        await emit(ctx, Noted())


async def test_a_readonly_context_cannot_write(kit: Corekit) -> None:
    row = {"id": uuid4(), "kind": "event", "tag": "x", "payload": b"", "priority": 0, "created_at": kit.clock.now()}
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        async with kit.context(Actor("alice"), readonly=True) as ctx:
            await ctx.session.execute(insert(OutboxRow), row)
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        async with kit.caller().system("notes").begin(readonly=True) as ctx:
            await ctx.session.execute(insert(OutboxRow), row)
    with pytest.raises(ReadonlyContext, match="OutboxRow was written in a readonly context"):
        async with kit.context(Actor("alice"), readonly=True) as ctx:
            ctx.session.add(OutboxRow(**row))
    async with kit.context(Actor("alice"), readonly=True) as ctx:
        with pytest.raises(ReadonlyContext, match="emit needs a writing context"):
            await emit(ctx, Noted())
        with pytest.raises(ReadonlyContext, match="enqueue needs a writing context"):
            await enqueue(ctx, Notes.work, 1)
    assert await recorded(kit) == 0


async def test_elevation_is_for_a_declared_purpose_and_keeps_the_person(kit: Corekit) -> None:
    alice = act_as(kit, "alice")
    elevated = alice.system("notes.tidy")
    assert (elevated.actor, elevated.person, elevated.request_id) == (
        Actor.system("notes.tidy"),
        Actor("alice"),
        alice.request_id,
    )
    assert elevated.system("notes").on_behalf_of == Actor("alice")
    async with elevated.begin() as ctx:
        assert ctx.on_behalf_of == Actor("alice")
        ctx.demand("anything:at:all", aal=2, max_age=1)
    with pytest.raises(PluginError, match=r"purpose 'notes\.burn' is not declared by any plugin"):
        alice.system("notes.burn")
    with pytest.raises(PluginError, match=r"notes\.burn"):
        kit.context(Actor.system("notes.burn"))
    async with kit.context(Actor.system("notes")) as ctx:
        assert ctx.on_behalf_of is None


async def test_nobody_and_the_system_are_no_person(kit: Corekit) -> None:
    assert kit.caller().system("notes").on_behalf_of is None
    assert kit.caller(Actor.system("notes")).system("notes.tidy").on_behalf_of is None
    assert kit.caller(Actor("backup", "service")).person == Actor("backup", "service")
    for caller in (kit.caller(), kit.caller().system("notes"), act_as(kit, "alice").system("notes")):
        async with caller.begin() as ctx:
            await emit(ctx, Noted())
    async with kit.context(Actor.system("notes"), readonly=True) as ctx:
        actors = (await ctx.session.scalars(select(OutboxRow.actor))).all()
    assert sorted(actors, key=str) == sorted([None, None, Actor("alice").id], key=str)


async def test_permissions_come_from_roles_and_grants(kit: Corekit) -> None:
    async with kit.context(Actor("bob")) as ctx:
        ctx.demand("till:open")
    async with kit.context(Actor("carol", roles=frozenset({"cashier"}))) as ctx:
        ctx.demand("till:open")
        with pytest.raises(Forbidden, match="needs the permission till:empty"):
            ctx.demand("till:empty")
    async with kit.context(Actor("alice")) as ctx:
        ctx.demand()
        with pytest.raises(Forbidden):
            ctx.demand("till:open")
    async with kit.caller().begin() as ctx:
        with pytest.raises(Unauthenticated):
            ctx.demand()


async def test_a_sign_in_may_be_too_weak_or_too_old(kit: Corekit, clock: FakeClock) -> None:
    proof = Proof(aal=1, authenticated_at=clock.now() - timedelta(seconds=100))
    async with kit.context(Actor("alice", proof=proof)) as ctx:
        ctx.demand(max_age=100)
        with pytest.raises(Unauthenticated) as caught:
            ctx.demand(max_age=99)
        assert caught.value.headers["WWW-Authenticate"] == (
            'Bearer error="insufficient_user_authentication", acr_values="aal1", max_age=99'
        )
        with pytest.raises(Unauthenticated) as caught:
            ctx.demand(aal=2)
        assert 'acr_values="aal2"' in caught.value.headers["WWW-Authenticate"]
    async with kit.context(Actor("alice")) as ctx:
        with pytest.raises(Unauthenticated):
            ctx.demand(max_age=3600)


def test_actors_are_named_by_id_or_text() -> None:
    user = UUID("0190163d-8694-739b-aea5-966c26f8ad91")
    assert Actor(user) == Actor(str(user)) == Actor(typeid("usr", user))
    assert Actor("alice") == Actor("alice") != Actor("bob")
    assert Actor("alice") != Actor("alice", "service")
    assert len({Actor("alice"), Actor("alice"), Actor.of("django", 42), Actor.of("django", 42)}) == 2
    assert Actor.of("django", 42) != Actor.of("rails", 42)
    assert repr(Actor.system("notes")) == "Actor(system:notes)"
    assert (NOBODY.kind, NOBODY.id.int) == ("nobody", 0)


async def test_a_caller_says_from_where(kit: Corekit) -> None:
    caller = kit.caller(Actor("alice"), Client(address="192.0.2.1", user_agent="test"))
    async with caller.begin() as ctx:
        assert ctx.caller.client.address == "192.0.2.1"
        assert ctx.now() == kit.clock.now()
