"""The routes of who is signed in: their account, and signing out."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from corekit import Corekit
from corekit.testing import FakeClock
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
ANN = "ann@example.org"
PASSWORD = "correct horse battery"
NEW = {"email": "bob@example.org", "password": PASSWORD}
SIGN_IN = "/token?grant_type=password"
REFRESH = "/token?grant_type=refresh_token"


async def test_reading_the_own_account(web: Web, signed_up: Grant) -> None:
    async with web(signed_up.session.access_token) as client:
        answer = await client.get("/user", headers={"apikey": "anon"})
    assert answer.status_code == 200
    assert answer.json()["id"] == str(signed_up.session.user.id)


@pytest.mark.parametrize(("method", "path"), [("GET", "/user"), ("PUT", "/user"), ("POST", "/logout")])
async def test_whoever_has_no_live_session(
    refused: Refused, signed_up: Grant, service: AuthService, kit: Corekit, clock: FakeClock, method: str, path: str
) -> None:
    body = {"json": {"data": {"a": 1}}} if method == "PUT" else {}
    await refused(401, "no_authorization", method, path, **body)
    await refused(401, "no_authorization", method, path, headers={"Authorization": "Basic x"}, **body)
    for token in ("anon", signed_up.session.access_token[:-2], "ü" * 9):
        headers = {"Authorization": b"Bearer " + token.encode()}
        await refused(403, "bad_jwt", method, path, headers=headers, **body)
    async with kit.caller().system("auth.sign-in").begin() as ctx:
        await service.end_sessions(ctx, signed_up.session.user.id)
    await refused(403, "session_not_found", method, path, signed_up.session.access_token, **body)
    clock.move(900)
    said = await refused(403, "bad_jwt", method, path, signed_up.session.access_token, **body)
    assert "token is expired" in said


async def test_an_account_that_is_gone(refused: Refused, signed_up: Grant, tables: Any) -> None:
    await tables.write(delete(UserRow))
    await refused(403, "user_not_found", "GET", "/user", signed_up.session.access_token)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"password": "another horse battery"}, 400, "current_password_required"),
        ({"password": "another horse battery", "current_password": "x"}, 400, "current_password_invalid"),
        ({"password": PASSWORD, "current_password": PASSWORD}, 422, "same_password"),
        ({"password": "short", "current_password": PASSWORD}, 422, "weak_password"),
        ({"email": "bob@example.org"}, 422, "email_exists"),
        ({"email": "x"}, 400, "validation_failed"),
        ({"phone": "491701234567"}, 400, "phone_provider_disabled"),
        ({"app_metadata": {"role": "admin"}}, 403, "not_admin"),
        ({"data": {"a": "x" * 5000}}, 422, "validation_failed"),
        ({"code_challenge": "x"}, 400, "validation_failed"),
    ],
)
async def test_refused_changes(
    refused: Refused, service: AuthService, kit: Corekit, signed_up: Grant, body: dict[str, Any], status: int, code: str
) -> None:
    await service.grant_by_sign_up(kit.caller(), "bob@example.org", PASSWORD, {})
    await refused(status, code, "PUT", "/user", signed_up.session.access_token, json=body)


async def test_changes(web: Web, signed_up: Grant, tables: Any) -> None:
    """Statement 18: a role in the body changes nothing."""
    change = {"data": {"a": 1}, "role": "service_role", "aud": "x", "is_anonymous": True, "nonce": "", "phone": None}
    async with web(signed_up.session.access_token) as client:
        assert (await client.put("/user", json=change)).json()["user_metadata"] == {"name": "Ann", "a": 1}
        secret = {"password": "another horse battery", "current_password": PASSWORD}
        assert (await client.put("/user", json=secret)).status_code == 200
        assert (await client.put("/user", json={"email": "New@example.org"})).json()["email"] == "new@example.org"
        assert (await client.put("/user", json={})).status_code == 200
    assert await tables.read("SELECT role, aud FROM auth_users") == [("authenticated", "authenticated")]


async def test_an_old_sign_in_must_be_renewed(
    refused: Refused, signed_up: Grant, service: AuthService, kit: Corekit, clock: FakeClock
) -> None:
    clock.move(901)
    grant = await service.grant_by_refresh(kit.caller(), signed_up.session.refresh_token)
    change = {"email": "new@example.org"}
    await refused(400, "reauthentication_needed", "PUT", "/user", grant.session.access_token, json=change)


@pytest.mark.parametrize(("query", "left"), [("", 0), ("?scope=global", 0), ("?scope=local", 1), ("?scope=others", 1)])
async def test_logout(
    web: Web, service: AuthService, kit: Corekit, signed_up: Grant, tables: Any, query: str, left: int
) -> None:
    await service.grant_by_password(kit.caller(), ANN, PASSWORD)
    async with web(signed_up.session.access_token) as client:
        answer = await client.post(f"/logout{query}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get("/user")).status_code == (200 if "others" in query else 403)
    assert len(await tables.read("SELECT id FROM auth_sessions")) == left


async def test_logout_of_an_unknown_scope_ends_nothing(web: Web, refused: Refused, signed_up: Grant) -> None:
    token = signed_up.session.access_token
    assert "global, local, others" in await refused(400, "validation_failed", "POST", "/logout?scope=all", token)
    async with web(token) as client:
        assert (await client.get("/user")).status_code == 200
