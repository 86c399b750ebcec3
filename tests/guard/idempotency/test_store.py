"""The store by itself, on each database: whose a key is, who may write what, fences, and what a dump shows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from idempotency_shop import OrderRow, Shop, effects
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from corekit import Actor, Caller, Corekit
from corekit.context import NOBODY
from corekit.data.people import shred
from corekit.errors import DecryptFailed, Forbidden, ReadonlyContext, Unauthenticated
from corekit.guard import IDEMPOTENCY_PURPOSE, Claim, Idempotency, IdempotencyKey, Replay, Reply
from corekit.guard.idempotency import IdempotencyInProgress, IdempotencyKeyReused, Unsettled, upkeep
from corekit.guard.idempotency.store import TABLE
from corekit.testing import FakeClock, act_as
from corekit.values import uuid7

CANARY = "canary-7c1f"
REPLY = Reply(201, (("content-type", "text/plain"), ("location", f"/{CANARY}")), f"said {CANARY}".encode())


def key(text: str = "one", fingerprint: bytes = b"f" * 32) -> IdempotencyKey:
    return IdempotencyKey(text, fingerprint)


async def claimed(caller: Caller, one: IdempotencyKey, **options: Any) -> Claim:
    async with caller.begin() as ctx:
        return await ctx.get(Idempotency).claim(ctx, one, **options)


async def attached(caller: Caller, claim: Claim, resource: str, *, settled: bool = False) -> None:
    async with caller.begin() as ctx:
        await ctx.get(Idempotency).attach(ctx, claim, resource, settled=settled)


async def finished(kit: Corekit, name: str = "alice", one: IdempotencyKey | None = None) -> Claim:
    caller = act_as(kit, name)
    claim = await claimed(caller, one or key())
    await attached(caller, claim, f"res_{claim.id}", settled=True)
    await kit.get(Idempotency).finish(caller, claim, REPLY)
    return claim


async def states(kit: Corekit) -> list[str]:
    async with kit.caller().system(IDEMPOTENCY_PURPOSE).begin(readonly=True) as ctx:
        return list(await ctx.session.scalars(select(TABLE.c.state).order_by(TABLE.c.created_at)))


async def test_the_first_life_of_a_key(kit: Corekit) -> None:
    alice, one = act_as(kit, "alice"), key()
    claim = await claimed(alice, one)
    assert one.claim == claim
    assert (claim.principal, claim.token, claim.state, claim.resource) == (alice.actor.id, 1, "running", None)
    await attached(alice, claim, "res_1")
    with pytest.raises(Unsettled):
        await kit.get(Idempotency).finish(alice, claim, REPLY)
    async with alice.begin() as ctx:
        await ctx.get(Idempotency).settle(ctx, "res_1")
    await kit.get(Idempotency).finish(alice, claim, REPLY)
    with pytest.raises(Replay) as replay:
        await claimed(alice, key())
    assert replay.value.reply == REPLY
    with pytest.raises(IdempotencyKeyReused):
        await claimed(alice, key(fingerprint=b"g" * 32))


async def test_a_claim_goes_with_its_transaction(kit: Corekit) -> None:
    one = key()
    with pytest.raises(ZeroDivisionError):
        async with act_as(kit, "alice").begin() as ctx:
            await ctx.get(Idempotency).claim(ctx, one)
            raise ZeroDivisionError
    assert (one.claim, await states(kit)) == (None, [])


async def test_a_tenant_has_keys_of_its_own(kit: Corekit) -> None:
    alice, reuse = act_as(kit, "alice"), b"g" * 32
    here, there = replace(alice, tenant=uuid4()), replace(alice, tenant=uuid4())
    for caller, print_ in ((alice, b"f" * 32), (here, reuse), (there, b"h" * 32)):
        assert (await claimed(caller, key(fingerprint=print_))).token == 1
    with pytest.raises(IdempotencyInProgress):
        await claimed(alice, key())
    with pytest.raises(IdempotencyKeyReused):
        await claimed(here, key(fingerprint=b"h" * 32))


async def test_a_purpose_claims_for_its_person(kit: Corekit) -> None:
    alice = act_as(kit, "alice")
    claim = await claimed(alice.system("shop.sell"), key())
    assert claim.principal == alice.actor.id
    with pytest.raises(IdempotencyInProgress):
        await claimed(alice, key())
    bob = Actor("bob").id
    assert (await claimed(kit.caller().system("shop.sell"), key(), principal=bob)).principal == bob


async def test_a_key_needs_somebody_who_may_write(kit: Corekit) -> None:
    for nobody in (kit.caller(NOBODY), kit.caller().system("shop.sell")):
        with pytest.raises(Unauthenticated):
            await claimed(nobody, key())
    with pytest.raises(Forbidden):
        await claimed(act_as(kit, "alice"), key(), principal=Actor("bob").id)
    with pytest.raises(ReadonlyContext):
        async with act_as(kit, "alice").begin(readonly=True) as ctx:
            await ctx.get(Idempotency).claim(ctx, key())
    assert await states(kit) == []


async def test_a_zombie_makes_nothing(kit: Corekit, shop: Shop, clock: FakeClock) -> None:
    """Its lease ended between the claim and the intent, which here are two transactions."""
    alice = act_as(kit, "alice")
    zombie = await claimed(alice, key())
    clock.move(60)
    successor = await claimed(alice, key())
    assert (successor.token, successor.resource) == (2, None)
    with pytest.raises(IdempotencyInProgress):
        async with alice.system("shop.sell").begin() as ctx:
            ctx.session.add(OrderRow(id=uuid7(), item="tea", count=1, state="sold"))
            await ctx.get(Idempotency).attach(ctx, zombie, "res_zombie", settled=True)
    assert await effects(kit) == 0
    for late in (kit.get(Idempotency).release, kit.get(Idempotency).drop):
        await late(alice, zombie)
    with pytest.raises(IdempotencyInProgress):  # its successor's hold is as it was
        await claimed(alice, key())
    await attached(alice, successor, "res_1")
    with pytest.raises(IdempotencyInProgress):  # a resource is named once
        await attached(alice, successor, "res_2")


async def test_settling_is_for_whoever_brings_the_end_about_but_no_stranger(kit: Corekit) -> None:
    alice = act_as(kit, "alice")
    await attached(alice, await claimed(alice, key()), "res_1")
    async with act_as(kit, "mallory").begin() as ctx:
        await ctx.get(Idempotency).settle(ctx, "res_1")
    assert await states(kit) == ["running"]
    async with kit.caller().system("shop.sell").begin() as ctx:
        await ctx.get(Idempotency).settle(ctx, "res_2")
        await ctx.get(Idempotency).settle(ctx, "res_1")
    assert await states(kit) == ["settled"]


async def tried(caller: Caller, statement: Any) -> bool:
    """Try to write; tell whether any row was."""
    try:
        async with caller.begin() as ctx:
            return bool((await ctx.session.execute(statement.returning(TABLE.c.id))).all())
    except DBAPIError:
        return False


async def test_a_person_forges_and_deletes_no_answer(kit: Corekit) -> None:
    await finished(kit)
    alice, mallory = act_as(kit, "alice"), act_as(kit, "mallory")
    await claimed(alice, key("two"))
    answered, open_ = TABLE.c.key == "one", TABLE.c.key == "two"
    forged = {"id": uuid4(), "key": "three", "fingerprint": b"", "lock_token": 1}
    times = {"lease_until": kit.clock.now(), "created_at": kit.clock.now()}
    assert not await tried(alice, update(TABLE).where(answered).values(state="running"))
    assert not await tried(alice, update(TABLE).where(open_).values(state="done", status=200))
    assert not await tried(alice, update(TABLE).where(open_).values(principal=mallory.actor.id))
    assert not await tried(alice, insert(TABLE).values(forged | times | {"principal": alice.actor.id, "state": "done"}))
    for statement in (delete(TABLE), update(TABLE).values(lock_token=9)):
        assert not await tried(mallory, statement)
    forged |= {"state": "running", "principal": alice.actor.id}
    assert not await tried(mallory, insert(TABLE).values(forged | times))
    assert not await tried(alice, delete(TABLE))
    assert sorted(await states(kit)) == ["done", "running"]
    async with mallory.begin(readonly=True) as ctx:
        assert (await ctx.session.execute(select(TABLE.c.key))).all() == []
    assert await tried(alice, update(TABLE).where(open_).values(state="settled"))  # the tries reach the table


async def test_a_dump_shows_no_answer(kit: Corekit) -> None:
    await finished(kit)
    async with kit.caller().system(IDEMPOTENCY_PURPOSE).begin() as ctx:
        (row,) = (await ctx.session.execute(text("SELECT * FROM corekit_idempotency"))).mappings()
    assert (row["key"], row["status"]) == ("one", 201)
    assert row["body"].startswith("v1.@")
    assert not row["body"].startswith("v1.@system.")
    assert CANARY not in str(dict(row))
    if kit.database.dialect == "sqlite":
        files = [path.read_bytes() for path in kit.database.path.parent.glob("test.db*")]
        assert any(b"corekit_idempotency" in file for file in files)
        assert not any(CANARY.encode() in file for file in files)


async def test_an_answer_goes_with_its_persons_key(kit: Corekit) -> None:
    await finished(kit)
    async with kit.caller().system("shop.sell").begin() as ctx:
        assert await shred(ctx, Actor("alice").id)
    with pytest.raises(DecryptFailed):
        await claimed(act_as(kit, "alice"), key())


async def test_only_what_is_finished_ends(kit: Corekit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BATCH", 2)
    (prune,) = (each.prune_idempotency for each in kit._built_in.upkeep if hasattr(each, "prune_idempotency"))
    alice = act_as(kit, "alice")
    for number in range(5):
        await finished(kit, one=key(f"old {number}"))
    await claimed(alice, key("running"))
    await attached(alice, await claimed(alice, key("settled")), "res_1", settled=True)
    clock.move(timedelta(days=1).total_seconds())
    await finished(kit, one=key("new"))
    clock.move(timedelta(days=29).total_seconds())
    system = kit.caller().system(IDEMPOTENCY_PURPOSE)
    await prune(system)
    assert len(await states(kit)) == 8  # to the second, thirty days are not over
    clock.move(1)
    await prune(system)
    assert await states(kit) == ["running", "settled", "done"]
    clock.move(timedelta(days=4000).total_seconds())
    await prune(system)
    assert await states(kit) == ["running", "settled"]
