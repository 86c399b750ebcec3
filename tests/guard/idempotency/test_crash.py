"""A server killed at every place of a request: whoever repeats it gets one effect and one answer."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from idempotency_shop import ORDERS, SALES, TEA, Shop, as_, effects, opened, problem, rows, served

from corekit.data import DatabaseSettings
from corekit.testing import settle

PROGRAM = Path(__file__).with_name("idempotency_process.py")
LEASE = {"lease": 3}
HEADERS = as_("alice", "one")


@asynccontextmanager
async def victim(database: DatabaseSettings, folder: Path, where: str) -> AsyncGenerator[str]:
    """Start a server that kills itself there; yields its address."""
    command = (sys.executable, str(PROGRAM), msgspec.json.encode(database).decode(), str(folder), where)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert await asyncio.wait_for(process.wait(), 60) == -9
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def kill(database: DatabaseSettings, folder: Path, where: str, path: str) -> None:
    """Send a request to a server that does not survive it."""
    async with opened(Shop(), database, folder):
        pass  # the schema and the keyring are there before
    async with victim(database, folder, where) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
        with pytest.raises(httpx.HTTPError):
            await http.post(path, json=TEA, headers=HEADERS)


async def repeated(http: httpx.AsyncClient, path: str) -> tuple[httpx.Response, int]:
    """Repeat it until it is answered; count how often it was told to wait."""
    waited = 0
    while (answer := await http.post(path, json=TEA, headers=HEADERS)).status_code == 409:
        problem(answer, 409, "idempotency-in-progress")
        waited += 1
        await asyncio.sleep(0.1)
    return answer, waited


@pytest.mark.parametrize(
    ("where", "left", "made"),
    [("claimed", [], 0), ("committed", ["settled"], 1), ("rendered", ["settled"], 1), ("stored", ["done"], 1)],
)
async def test_a_sale_survives_its_server(
    where: str, left: list[str], made: int, database: DatabaseSettings, tmp_path: Path
) -> None:
    await kill(database, tmp_path, where, SALES)
    shop = Shop()
    async with opened(shop, database, tmp_path, idempotency=LEASE) as kit, served(kit) as http:
        assert [state for state, _, _ in await rows(kit)] == left
        assert await effects(kit) == made
        answer, _ = await repeated(http, SALES)
        again, _ = await repeated(http, SALES)
        assert answer.status_code == 201
        assert ("idempotent-replayed" in answer.headers) == (where == "stored")
        assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")
        assert (await effects(kit), shop.runs) == (1, 1 - made)


async def test_an_order_survives_its_server(database: DatabaseSettings, tmp_path: Path) -> None:
    """Killed after the commit of the intent: the job goes on elsewhere, and the key is free after its lease."""
    await kill(database, tmp_path, "driving", ORDERS)
    shop = Shop()
    async with opened(shop, database, tmp_path, idempotency=LEASE, jobs={"worker": True}) as kit, served(kit) as http:
        await settle(kit)
        assert [state for state, _, _ in await rows(kit)] == ["settled"]
        answer, _ = await repeated(http, ORDERS)
        again, _ = await repeated(http, ORDERS)
        assert (answer.status_code, answer.json()["state"]) == (200, "delivered")
        assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")
        assert (await effects(kit), shop.runs) == (1, 0)


async def test_the_lease_of_the_killed_holds_its_key(database: DatabaseSettings, tmp_path: Path) -> None:
    await kill(database, tmp_path, "committed", SALES)
    async with opened(Shop(), database, tmp_path, idempotency=LEASE) as kit, served(kit) as http:
        _, waited = await repeated(http, SALES)
        assert waited > 0
