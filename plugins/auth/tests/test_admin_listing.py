"""Lists of accounts: pages, order, filters, and the headers that clients parse."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from corekit.testing import FakeClock

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]


@pytest.fixture
async def people(web: Web, service_key: str, clock: FakeClock) -> list[str]:
    """Make five accounts, a second apart."""
    made = []
    async with web(service_key) as client:
        for number in range(5):
            clock.move(1)
            body: dict[str, Any] = {
                "email": f"p{number}_x@example.org",
                "phone": f"49170000{number}",
                "user_metadata": {"full_name": f"Person {number}%"},
            }
            made.append((await client.post("/admin/users", json=body)).json()["email"])
    return made


async def listed(web: Web, key: str, query: str) -> tuple[list[str], httpx.Response]:
    async with web(key) as client:
        answer = await client.get(f"/admin/users?{query}")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"users", "aud"}
    return [user["email"] for user in answer.json()["users"]], answer


async def test_pages_and_the_headers_of_them(web: Web, service_key: str, people: list[str]) -> None:
    """Newest first; the number of a page is what follows the first `=`, as the clients cut it out."""
    found, answer = await listed(web, service_key, "page=2&per_page=2&sort=&filter=")
    assert found == people[::-1][2:4]
    assert answer.headers["X-Total-Count"] == "5"
    assert answer.headers["Link"] == (
        '</auth/v1/admin/users?page=3&per_page=2>; rel="next", </auth/v1/admin/users?page=3&per_page=2>; rel="last"'
    )
    found, answer = await listed(web, service_key, "page=3&per_page=2")
    assert found == [people[0]]
    assert answer.headers["Link"] == '</auth/v1/admin/users?page=3&per_page=2>; rel="last"'
    found, answer = await listed(web, service_key, "page=&per_page=")
    assert found == people[::-1]
    assert answer.headers["Link"] == '</auth/v1/admin/users?page=1>; rel="last"'
    assert len(answer.json()["users"][0]["identities"]) == 2


async def test_order(web: Web, service_key: str, people: list[str]) -> None:
    assert (await listed(web, service_key, "sort=created_at%20asc"))[0] == people
    assert (await listed(web, service_key, "sort=created_at+DESC"))[0] == people[::-1]


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("P1_", [1]),
        ("1_x", [1]),
        ("example", [0, 1, 2, 3, 4]),
        ("person 3", [3]),
        ("%25", [0, 1, 2, 3, 4]),
        ("3%25", [3]),
        ("%2B49 1700002", [2]),
        ("4917000", []),
        ("full_name", []),
        ("nobody", []),
    ],
)
async def test_filters(web: Web, service_key: str, people: list[str], text: str, which: list[int]) -> None:
    """Part of an address or name, nothing of it a wildcard; a number only whole, since it is encrypted."""
    found, answer = await listed(web, service_key, f"sort=created_at asc&filter={text}")
    assert found == [people[number] for number in which]
    assert answer.headers["X-Total-Count"] == str(len(which))


async def test_a_filter_cannot_break_the_links(web: Web, service_key: str, people: list[str]) -> None:
    assert people
    _, answer = await listed(web, service_key, "filter=%3E%3B%20rel%3D%22next%22%2C%0D%0A")
    assert answer.headers["Link"].count(";") == answer.headers["Link"].count("<") == 1
    assert "," not in answer.headers["Link"]


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=x",
        "page=9999999999999999999",
        "per_page=0",
        "per_page=1001",
        "per_page=%C2%B2",
        "sort=email",
        "sort=created_at%20sideways",
        "filter=" + "x" * 256,
        "filter=a%00b",
    ],
)
async def test_what_no_list_is_asked_by(refused: Refused, service_key: str, query: str) -> None:
    said = await refused(400, "validation_failed", "GET", f"/admin/users?{query}", service_key)
    assert said.startswith(query.partition("=")[0])


async def test_nobody_is_there(web: Web, service_key: str) -> None:
    found, answer = await listed(web, service_key, "")
    assert (found, answer.headers["X-Total-Count"]) == ([], "0")
    assert answer.headers["Link"] == '</auth/v1/admin/users?page=1>; rel="last"'
