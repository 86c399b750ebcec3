"""Many at once under each key: one effect, one answer."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
from idempotency_shop import SALES, Shop, effects, opened, served

from corekit.data import DatabaseSettings

KEYS, CALLERS = 20, 16


async def insist(http: httpx.AsyncClient, key: str, seen: Counter[int]) -> httpx.Response:
    """Do as a client does: repeat what is in progress until it is answered."""
    while True:
        answer = await http.post(SALES, json={"item": key}, headers={"Idempotency-Key": key})
        seen[answer.status_code] += 1
        if answer.status_code != 409:
            return answer
        assert answer.headers["retry-after"] == "1"
        await asyncio.sleep(0.02)


async def called(http: httpx.AsyncClient, keys: list[str], seen: Counter[int]) -> list[httpx.Response]:
    """Send each key in turn, as all the others do at the same time."""
    return [await insist(http, key, seen) for key in keys]


async def test_one_effect_and_one_answer_for_each_key(database: DatabaseSettings, tmp_path: Path) -> None:
    shop, seen = Shop(), Counter[int]()
    keys = [f"key-{number}" for number in range(KEYS)]
    async with opened(shop, database, tmp_path) as kit, served(kit) as http:
        callers = [called(http, keys, seen) for _ in range(CALLERS)]
        answers = [answer for each in await asyncio.gather(*callers) for answer in each]
        assert await effects(kit) == KEYS
    assert shop.runs == shop.renders == KEYS
    by_key: dict[str, list[httpx.Response]] = {}
    for answer in answers:
        by_key.setdefault(answer.json()["item"], []).append(answer)
    assert sorted(by_key) == sorted(keys)
    for same in by_key.values():
        assert len(same) == CALLERS
        assert len({(answer.status_code, answer.headers["location"], answer.content) for answer in same}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in same) == 1
    assert seen.keys() <= {201, 409}
    assert seen[201] == KEYS * CALLERS
