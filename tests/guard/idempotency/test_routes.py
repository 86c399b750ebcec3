"""Over HTTP: one effect and one answer for each key, on each database."""

import asyncio

import httpx
import pytest
from idempotency_shop import GIFTS, ORDERS, SALES, TEA, Shop, as_, effects, problem, rows

from corekit import Corekit
from corekit.testing import FakeClock


async def test_a_repeated_request_gets_the_same_answer_to_the_byte(
    http: httpx.AsyncClient, kit: Corekit, shop: Shop
) -> None:
    first = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})
    again = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert first.headers["content-type"] == again.headers["content-type"] == "application/json"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert "x-own" not in again.headers  # kept are Content-Type and Location alone
    assert first.headers["x-own"] == "1"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert (await effects(kit), shop.renders) == (1, 1)


async def test_another_key_is_another_request(http: httpx.AsyncClient, kit: Corekit) -> None:
    first, second = [await http.post(SALES, json=TEA, headers={"Idempotency-Key": key}) for key in ("a", "b")]
    assert first.content != second.content
    assert await effects(kit) == 2


async def test_the_quoted_form_is_the_bare_one(http: httpx.AsyncClient, kit: Corekit) -> None:
    sent = ["one", '"one"']
    answers = [await http.post(SALES, json=TEA, headers={"Idempotency-Key": key}) for key in sent]
    assert len({answer.content for answer in answers}) == 1
    assert await effects(kit) == 1


@pytest.mark.parametrize("path", [SALES, ORDERS, GIFTS])
async def test_a_request_without_a_key_is_refused(path: str, http: httpx.AsyncClient, kit: Corekit) -> None:
    problem(await http.post(path, json=TEA), 400, "idempotency-key-missing")
    problem(await http.post(path, content=b"{"), 400, "idempotency-key-missing")
    assert await rows(kit) == []


async def test_a_malformed_key_is_refused(http: httpx.AsyncClient, kit: Corekit) -> None:
    for key in ("", '""', "a b", "a" * 256, '"' + "a" * 256 + '"', "é", '"a', '"a"b"', '"a";v=1', "a\tb"):
        answer = await http.post(SALES, json=TEA, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
        problem(answer, 400, "idempotency-key-invalid")
    two = await http.post(SALES, json=TEA, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
    problem(two, 400, "idempotency-key-invalid")
    assert (await http.post(SALES, json=TEA, headers={"Idempotency-Key": "~" * 255})).status_code == 201
    assert await effects(kit) == 1


async def test_who_is_not_signed_in_learns_that_first(http: httpx.AsyncClient) -> None:
    answer = await http.post(SALES, json=TEA, headers={"Authorization": ""})
    problem(answer, 401, "unauthenticated")


async def test_another_request_under_the_key_is_refused(http: httpx.AsyncClient, kit: Corekit) -> None:
    key = {"Idempotency-Key": "one"}
    first = await http.post(SALES, json=TEA, headers=key)
    problem(await http.post(SALES, json=TEA | {"count": 2}, headers=key), 422, "idempotency-key-reused")
    problem(await http.post(ORDERS, json=TEA, headers=key), 422, "idempotency-key-reused")
    problem(await http.post(f"{SALES}?x=1", json=TEA, headers=key), 422, "idempotency-key-reused")
    assert (await http.post(SALES, json=TEA, headers=key)).content == first.content
    assert await effects(kit) == 1


async def test_the_path_is_the_resolved_one(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    assert (await http.post(GIFTS, headers=key)).status_code == 201
    problem(await http.post(GIFTS.replace("00", "11"), headers=key), 422, "idempotency-key-reused")


async def test_bodies_that_mean_the_same_are_the_same(http: httpx.AsyncClient, kit: Corekit) -> None:
    bodies = [
        b'{"item":"tea","notes":{"a":"1","b":"2"}}',
        b'{ "notes": {"b": "2", "a": "1"}, "count": 1, "item": "tea" }',
        b'{"item":"\\u0074ea","count":1,"notes":{"a":"1","b":"2"}}',
    ]
    headers = {"Idempotency-Key": "one", "Content-Type": "application/json"}
    answers = [await http.post(SALES, content=body, headers=headers) for body in bodies]
    assert len({answer.content for answer in answers}) == 1
    assert await effects(kit) == 1


@pytest.mark.parametrize("count", ["1", "1e3", "true", 1.5])
async def test_no_value_is_guessed_from_another_type(http: httpx.AsyncClient, kit: Corekit, count: object) -> None:
    """Red when the body is read as leniently as Litestar does, which takes "1e3" for 1000."""
    answer = await http.post(SALES, json=TEA | {"count": count}, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/count")
    assert await effects(kit) == 0
    assert (await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})).status_code == 201


async def test_a_key_is_its_principals_own(http: httpx.AsyncClient, kit: Corekit) -> None:
    alices = await http.post(SALES, json=TEA, headers=as_("alice", "one"))
    bobs = await http.post(SALES, json={"item": "ink"}, headers=as_("bob", "one"))
    assert (alices.status_code, bobs.status_code) == (201, 201)
    assert bobs.json()["item"] == "ink"
    assert "idempotent-replayed" not in bobs.headers
    assert await effects(kit) == 2


async def test_while_the_first_is_in_progress_others_wait(http: httpx.AsyncClient, kit: Corekit, shop: Shop) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        reached.set()
        await go.wait()

    shop.pause = pause
    first = asyncio.create_task(http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"}))
    await reached.wait()
    other = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})
    problem(other, 409, "idempotency-in-progress")
    assert other.headers["retry-after"] == "1"
    problem(
        await http.post(SALES, json={"item": "ink"}, headers={"Idempotency-Key": "one"}), 422, "idempotency-key-reused"
    )
    go.set()
    again = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"}) if (await first) else None
    assert again is not None
    assert again.content == first.result().content
    assert await effects(kit) == 1


@pytest.mark.parametrize(
    ("item", "status", "slug"), [({"item": "unknown"}, 404, "not-found"), ({"item": "tea", "count": 0}, 422, "invalid")]
)
async def test_what_is_refused_leaves_no_key(
    item: dict[str, object], status: int, slug: str, http: httpx.AsyncClient, kit: Corekit
) -> None:
    for _ in range(2):
        problem(await http.post(SALES, json=item, headers={"Idempotency-Key": "one"}), status, slug)
    assert await rows(kit) == []
    assert (await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})).status_code == 201


async def test_a_refusal_that_commits_leaves_no_key(http: httpx.AsyncClient, kit: Corekit) -> None:
    problem(await http.post(SALES, json={"item": "banned"}, headers={"Idempotency-Key": "one"}), 403, "refused")
    assert await rows(kit) == []
    assert (await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})).status_code == 201


async def test_a_fault_is_not_stored_and_what_was_made_stays(http: httpx.AsyncClient, kit: Corekit, shop: Shop) -> None:
    for _ in range(2):  # the second does not have to wait for the end of the lease
        answer = await http.post(SALES, json={"item": "unavailable"}, headers={"Idempotency-Key": "one"})
        problem(answer, 503, "unavailable")
    ((state, token, resource),) = await rows(kit)
    assert (state, token, bool(resource)) == ("settled", 2, True)
    assert (await effects(kit), shop.runs) == (1, 1)


async def test_a_route_may_claim_in_the_context_that_it_is_given(http: httpx.AsyncClient) -> None:
    first, again = [await http.post(GIFTS, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_route_that_forgets_its_key_is_told_so(http: httpx.AsyncClient, kit: Corekit) -> None:
    for how in ("unclaimed", "unnamed", "unsettled"):
        answer = await http.post(f"/shop/v1/forgotten?how={how}", headers={"Idempotency-Key": how})
        problem(answer, 500, "internal")
    problem(await http.post("/shop/v1/unguarded"), 500, "internal")
    assert all(state == "running" for state, _, _ in await rows(kit))


async def test_replies_stay_for_thirty_days_whatever_the_lease(http: httpx.AsyncClient, clock: FakeClock) -> None:
    first = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})
    clock.move(29 * 86_400)
    again = await http.post(SALES, json=TEA, headers={"Idempotency-Key": "one"})
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")


async def test_a_body_that_is_none_is_refused_as_elsewhere(http: httpx.AsyncClient, kit: Corekit) -> None:
    json = {"Content-Type": "application/json", "Idempotency-Key": "one"}
    problem(await http.post(SALES, content=b"{", headers=json), 400, "http-400")
    problem(await http.post(SALES, content=b'"\xff"', headers=json), 400, "http-400")
    problem(await http.post(SALES, content=b"[" * 50_000, headers=json), 400, "http-400")
    problem(await http.post(SALES, content=b"", headers=json), 422, "invalid")
    problem(await http.post(SALES, json={"item": 1, "more": 2}, headers=json), 422, "invalid")
    problem(await http.post(SALES, json={"item": "x" * (1 << 20)}, headers=json), 413, "too-large")
    assert await rows(kit) == []
    assert (await http.post(SALES, json=TEA, headers=json)).status_code == 201
