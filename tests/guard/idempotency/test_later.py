"""Routes whose end comes after the reply, and attempts that come too late."""

import asyncio
from pathlib import Path

import httpx
from idempotency_shop import ORDERS, SALES, TEA, Shop, effects, opened, problem, rows

from corekit import Corekit
from corekit.data import DatabaseSettings
from corekit.data.crypto.columns import KEYS
from corekit.testing import FakeClock, settle

KEY = {"Idempotency-Key": "one"}


async def work(database: DatabaseSettings, folder: Path, clock: FakeClock) -> None:
    """Let another process run the jobs."""
    async with opened(Shop(), database, folder, clock, jobs={"worker": True}) as worker:
        await settle(worker)


async def test_what_is_in_hand_is_accepted_and_its_end_is_stored(
    http: httpx.AsyncClient, kit: Corekit, shop: Shop, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    for token in (1, 2):  # the second joins the first: it does not have to wait for the end of a lease
        accepted = await http.post(ORDERS, json=TEA, headers=KEY)
        assert (accepted.status_code, accepted.json()["state"]) == (202, "processing")
        assert [(state, held) for state, held, _ in await rows(kit)] == [("running", token)]
    await work(database, tmp_path, clock)
    assert [state for state, _, _ in await rows(kit)] == ["settled"]
    final = await http.post(ORDERS, json=TEA, headers=KEY)
    assert (final.status_code, final.json()["state"]) == (200, "delivered")
    assert "idempotent-replayed" not in final.headers
    again = await http.post(ORDERS, json=TEA, headers=KEY)
    assert (again.content, again.headers["idempotent-replayed"]) == (final.content, "true")
    assert final.json()["id"] == accepted.json()["id"]
    assert (await effects(kit), shop.runs) == (1, 1)


async def test_a_final_failure_is_an_answer(
    http: httpx.AsyncClient, kit: Corekit, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    assert (await http.post(ORDERS, json={"item": "dear"}, headers=KEY)).status_code == 202
    await work(database, tmp_path, clock)
    problem(declined := await http.post(ORDERS, json={"item": "dear"}, headers=KEY), 402, "refused")
    again = await http.post(ORDERS, json={"item": "dear"}, headers=KEY)
    assert (again.status_code, again.content) == (402, declined.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"
    assert [state for state, _, _ in await rows(kit)] == ["done"]


def once_paused(shop: Shop) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold the next sale after its commit; return what tells that it is there, and what lets it go on."""
    reached, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        if not reached.is_set():
            reached.set()
            await go.wait()

    shop.pause = pause
    return reached, go


async def test_a_zombie_sends_what_its_successor_stored(
    http: httpx.AsyncClient, kit: Corekit, shop: Shop, clock: FakeClock
) -> None:
    reached, go = once_paused(shop)
    zombie = asyncio.create_task(http.post(SALES, json=TEA, headers=KEY))
    await reached.wait()
    clock.move(59)
    problem(await http.post(SALES, json=TEA, headers=KEY), 409, "idempotency-in-progress")
    clock.move(1)
    successor = await http.post(SALES, json=TEA, headers=KEY)
    assert (successor.status_code, "idempotent-replayed" in successor.headers) == (201, False)
    go.set()
    late = await zombie
    assert (late.content, late.headers["idempotent-replayed"]) == (successor.content, "true")
    assert (await effects(kit), shop.runs) == (1, 1)


async def test_a_zombie_whose_successor_is_at_work_answers_nothing(
    http: httpx.AsyncClient, kit: Corekit, shop: Shop, clock: FakeClock
) -> None:
    reached, go = once_paused(shop)
    zombie = asyncio.create_task(http.post(SALES, json=TEA, headers=KEY))
    await reached.wait()
    clock.move(60)
    reached_too, go_too = once_paused(shop)
    successor = asyncio.create_task(http.post(SALES, json=TEA, headers=KEY))
    await reached_too.wait()
    go.set()
    problem(await zombie, 409, "idempotency-in-progress")
    assert [(state, token) for state, token, _ in await rows(kit)] == [("settled", 2)]
    go_too.set()
    assert (await successor).status_code == 201
    again = await http.post(SALES, json=TEA, headers=KEY)
    assert (again.content, again.headers["idempotent-replayed"]) == (successor.result().content, "true")


async def test_a_reply_that_cannot_be_stored_is_not_sent(http: httpx.AsyncClient, kit: Corekit, shop: Shop) -> None:
    """What would seal it is gone when the route has committed; the next attempt finds it there, and need not wait."""
    reached, go = once_paused(shop)
    first = asyncio.create_task(http.post(SALES, json=TEA, headers=KEY))
    await reached.wait()
    keys = kit.database.carried.pop(KEYS)
    go.set()
    problem(await first, 500, "internal")
    kit.database.carried[KEYS] = keys
    assert [state for state, _, _ in await rows(kit)] == ["settled"]
    assert (await http.post(SALES, json=TEA, headers=KEY)).status_code == 201
    assert await effects(kit) == 1
