"""The audit log as administrators read it, and the development sink's route."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from corekit import Caller, Corekit
from corekit.testing import FakeClock, make_kit, settle
from corekit.web import create_app
from corekit_auth import AuthPlugin
from corekit_auth.errors import InvalidCredentials
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN, PASSWORD = "ann@example.org", "correct horse battery"
Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]


@pytest.fixture
async def busy(service: AuthService, caller: Caller, signed_up: Grant, clock: FakeClock) -> Grant:
    """Let something happen: a sign-in, and one that fails."""
    clock.move(1)
    await service.grant_by_password(caller, ANN, PASSWORD)
    clock.move(1)
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, "wrong horse battery")
    return signed_up


async def test_entries_have_the_protocols_form(web: Web, service_key: str, busy: Grant) -> None:
    user = busy.session.user
    async with web(service_key) as client:
        answer = await client.get("/admin/audit")
    entries = answer.json()
    actions = [entry["payload"]["action"] for entry in entries]
    assert actions[:2] == ["login_failed", "login"]
    assert {"login", "user_signedup"} <= set(actions)
    assert answer.headers["X-Total-Count"] == str(len(entries))
    entry = entries[1]
    assert set(entry) == {"id", "payload", "created_at", "ip_address"}
    assert entry["ip_address"] == "192.0.2.1"
    payload = entry["payload"]
    assert (payload["actor_id"], payload["actor_username"]) == (str(user.id), ANN)
    assert (payload["log_type"], payload["traits"]["user_id"]) == ("account", str(user.id))


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("action:login", {"login"}),
        ("type:team", {"user_signedup"}),
        (f"author:{ANN}", {"login", "login_failed", "user_signedup"}),
        ("author:nobody@example.org", set()),
    ],
)
async def test_some_of_them(web: Web, service_key: str, busy: Grant, query: str, actions: set[str]) -> None:
    async with web(service_key) as client:
        found = (await client.get("/admin/audit", params={"query": query})).json()
    assert busy
    assert {entry["payload"]["action"] for entry in found} - {"user_modified"} == actions


async def test_pages(web: Web, service_key: str, busy: Grant) -> None:
    assert busy
    async with web(service_key) as client:
        everything = (await client.get("/admin/audit")).json()
        first = await client.get("/admin/audit", params={"per_page": 1, "query": "type:account"})
        assert 'page=2&per_page=1&query=type%3Aaccount>; rel="next"' in first.headers["Link"]
        pages = [(await client.get("/admin/audit", params={"page": n, "per_page": 2})).json() for n in (1, 2, 3)]
    assert [entry["id"] for page in pages for entry in page] == [entry["id"] for entry in everything][:6]


async def test_who_and_what_is_refused(refused: Refused, service_key: str, signed_up: Grant) -> None:
    await refused(401, "no_authorization", "GET", "/admin/audit")
    await refused(403, "not_admin", "GET", "/admin/audit", signed_up.session.access_token)
    for field, value in (("query", "mood:bad"), ("query", "type:nothing"), ("page", "0"), ("per_page", "201")):
        assert field in await refused(400, "validation_failed", "GET", f"/admin/audit?{field}={value}", service_key)


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.1", 404), ("", 404)])
async def test_the_sink_is_seen_from_this_machine_alone(address: str, status: int) -> None:
    """Red where the address is not asked: codes that sign in as anybody would lie open to the network."""
    tables: dict[str, Any] = {"auth": {"mailer_autoconfirm": False}}
    async with make_kit([AuthPlugin()], settings=tables) as kit:
        await kit.get(AuthService).one_time.otp(kit.caller(), ANN)
        await settle(kit)
        transport = httpx.ASGITransport(create_app(kit, lifespan=False), client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://test/auth/v1") as client:
            answers = [await client.get("/x/outbox", params=given) for given in ({}, {"to": ANN}, {"to": "x@y.org"})]
        assert [answer.status_code for answer in answers] == [status] * 3
        if status == 200:
            assert [len(answer.json()["messages"]) for answer in answers] == [1, 1, 0]
            assert answers[0].json()["messages"][0]["to"] == ANN
            assert answers[0].headers["Cache-Control"] == "no-store"


async def test_the_sink_is_seen_in_development_alone(kit: Corekit, web: Web) -> None:
    kit.env = "staging"
    async with web(address="127.0.0.1") as client:
        assert (await client.get("/x/outbox")).status_code == 404
