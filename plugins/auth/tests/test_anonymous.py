"""People without an address, and how they get one."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from corekit import Corekit
from corekit.testing import FakeClock
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
PASSWORD = "correct horse battery"
ON = pytest.mark.parametrize("settings", [{"anonymous": True}])


@pytest.mark.parametrize(("settings", "shown"), [({}, False), ({"anonymous": True}, True)])
async def test_clients_can_ask_whether_it_is_on(web: Web, *, shown: bool) -> None:
    async with web() as client:
        assert (await client.get("/settings")).json()["external"]["anonymous_users"] is shown


async def test_it_is_off(refused: Refused, tables: Any) -> None:
    await refused(422, "anonymous_provider_disabled", "POST", "/signup", json={})
    assert await tables.read("SELECT id FROM auth_users") == []


@ON
async def test_an_account_without_an_address(web: Web, service: AuthService, tables: Any) -> None:
    async with web() as client:
        answer = await client.post("/signup", json={"data": {"theme": "dark"}, "gotrue_meta_security": {}})
    assert answer.status_code == 200, answer.text
    session = answer.json()
    user = session["user"]
    assert set(user) == {
        "id",
        "aud",
        "role",
        "email",
        "phone",
        "last_sign_in_at",
        "app_metadata",
        "user_metadata",
        "identities",
        "created_at",
        "updated_at",
        "is_anonymous",
    }
    assert (user["email"], user["phone"], user["identities"], user["app_metadata"]) == ("", "", [], {})
    assert (user["is_anonymous"], user["user_metadata"]) == (True, {"theme": "dark"})
    actor = service.bearer(session["access_token"])
    assert actor.proof is not None
    assert actor.proof.methods == ("anonymous",)
    assert {"auth.user_created", "auth.signed_in"} <= set(await tables.told())


@ON
async def test_it_becomes_an_account_of_its_own(
    web: Web, service: AuthService, kit: Corekit, clock: FakeClock, tables: Any
) -> None:
    """The id stays, also long after the sign-in: nobody without an address could sign in again to be fresh."""
    async with web() as client:
        session = (await client.post("/signup", json={})).json()
        clock.move(1800)
        again = {"refresh_token": session["refresh_token"]}
        session = (await client.post("/token?grant_type=refresh_token", json=again)).json()
    async with web(session["access_token"]) as client:
        answer = await client.put("/user", json={"email": "ann@example.org", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
    user = answer.json()
    assert user["id"] == session["user"]["id"]
    assert (user["is_anonymous"], user["email"]) == (False, "ann@example.org")
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert [(one["provider"], one["identity_data"]["email_verified"]) for one in user["identities"]] == [
        ("email", True)
    ]
    grant = await service.grant_by_password(kit.caller(), "ann@example.org", PASSWORD)
    assert str(grant.session.user.id) == user["id"]
    assert await tables.read("SELECT count(*) FROM auth_users") == [(1,)]


@ON
async def test_an_address_of_somebody_else_is_not_taken_over(web: Web, refused: Refused, signed_up: Grant) -> None:
    assert signed_up
    async with web() as client:
        token = (await client.post("/signup", json={})).json()["access_token"]
    await refused(422, "email_exists", "PUT", "/user", token, json={"email": "ann@example.org"})


@pytest.mark.parametrize("settings", [{"anonymous": True, "disable_signup": True}])
async def test_where_nobody_new_is_taken(refused: Refused) -> None:
    await refused(422, "signup_disabled", "POST", "/signup", json={})


@pytest.mark.parametrize("settings", [{"anonymous": True, "anonymous_rate": {"count": 2, "period": 3600, "burst": 2}}])
async def test_so_many_from_one_address(web: Web) -> None:
    async with web(address="192.0.2.7") as client, web(address="192.0.2.8") as other:
        answers = [await client.post("/signup", json={}) for _ in range(3)]
        assert (await other.post("/signup", json={})).status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error_code"] == "over_request_rate_limit"
    assert int(answers[2].headers["Retry-After"]) > 0
