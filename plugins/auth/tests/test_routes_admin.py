"""Administrators' routes: the accounts of others."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from corekit import Corekit
from corekit.testing import FakeClock
from corekit.values import typeid
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
PASSWORD = "correct horse battery"
BOB = {"email": "Bob@Example.org ", "password": PASSWORD, "email_confirm": True}
USER = {
    "id",
    "aud",
    "role",
    "email",
    "phone",
    "app_metadata",
    "user_metadata",
    "identities",
    "created_at",
    "updated_at",
    "is_anonymous",
}
ROUTES = [
    ("GET", "/admin/users"),
    ("POST", "/admin/users"),
    ("GET", "/admin/users/{id}"),
    ("PUT", "/admin/users/{id}"),
    ("DELETE", "/admin/users/{id}"),
    ("GET", "/admin/users/{id}/factors"),
    ("PUT", "/admin/users/{id}/factors/{id}"),
    ("DELETE", "/admin/users/{id}/factors/{id}"),
    ("GET", "/admin/users/{id}/passkeys"),
    ("DELETE", "/admin/users/{id}/passkeys/{id}"),
    ("POST", "/admin/x/users/{id}/logout"),
    ("GET", "/admin/x/limits"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_who_is_no_administrator_is_refused(
    refused: Refused, signed_up: Grant, tables: Any, method: str, path: str
) -> None:
    """Statement 18. Goes red when a route forgets to ask `admin`."""
    path = path.replace("{id}", str(signed_up.session.user.id))
    body = {"json": {"friendly_name": "x"}} if method in {"POST", "PUT"} else {}
    await refused(401, "no_authorization", method, path, **body)
    await refused(403, "bad_jwt", method, path, "anon", **body)
    await refused(403, "not_admin", method, path, signed_up.session.access_token, **body)
    assert len(await tables.read("SELECT id FROM auth_users")) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", path) for path in ("/admin/users", "/admin/users/1", "/admin/users/1/factors", "/admin/x/limits")]
    + [("POST", "/admin/users/1"), ("GET", "/admin/users/1/factors/2"), ("PUT", "/admin/users/1/passkeys/2")]
    + [("GET", "/admin/x/users/1/logout"), ("POST", "/x/sessions"), ("GET", "/x/sessions/1")],
)
async def test_wrong_methods(refused: Refused, method: str, path: str) -> None:
    await refused(405, "unknown", method, path)


async def test_making_an_account(web: Web, service: AuthService, kit: Corekit, service_key: str, tables: Any) -> None:
    more = {"phone": "+49 170 1234567", "user_metadata": {"name": "Bob"}, "app_metadata": {"plan": "x"}}
    async with web(service_key) as client:
        answer = await client.post("/admin/users", json={**BOB, **more, "role": "editor", "aud": "team", "extra": 1})
        assert answer.status_code == 200, answer.text
        user = answer.json()
        assert set(user) == USER | {"email_confirmed_at", "confirmed_at"}
        assert (await client.get(f"/admin/users/{user['id']}")).json() == user
    assert (user["email"], user["phone"], user["role"], user["aud"]) == (
        "bob@example.org",
        "491701234567",
        "editor",
        "team",
    )
    assert user["app_metadata"] == {"provider": "email", "providers": ["email", "phone"], "plan": "x"}
    assert user["user_metadata"] == {"name": "Bob"}
    data = {identity["provider"]: identity["identity_data"] for identity in user["identities"]}
    assert data["email"] == {
        "sub": user["id"],
        "email": "bob@example.org",
        "email_verified": True,
        "phone_verified": False,
    }
    assert data["phone"]["phone"] == "491701234567"
    await service.grant_by_password(kit.caller(), "bob@example.org", PASSWORD)
    assert (await tables.read("SELECT phone FROM auth_users"))[0][0].startswith("v1.")
    assert "auth.user_created" in await tables.told()


async def test_an_address_is_confirmed_only_where_it_is_said(web: Web, refused: Refused, service_key: str) -> None:
    async with web(service_key) as client:
        made = (await client.post("/admin/users", json={"email": "bob@example.org", "password": PASSWORD})).json()
        assert set(made) == USER
        body = {"email": "bob@example.org", "password": PASSWORD}
        await refused(400, "email_not_confirmed", "POST", "/token?grant_type=password", json=body)
        changed = (await client.put(f"/admin/users/{made['id']}", json={"email_confirm": True})).json()
        assert set(changed) == USER | {"email_confirmed_at", "confirmed_at"}
        assert (await client.post("/token?grant_type=password", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({}, 400, "validation_failed", "email or phone"),
        ({"email": "x"}, 400, "validation_failed", "email"),
        ({"phone": "0170"}, 400, "validation_failed", "phone"),
        ({**BOB, "password": "short"}, 422, "weak_password", "8 characters"),
        ({**BOB, "password_hash": "$2b$10$x"}, 400, "validation_failed", "only one"),
        ({"email": "bob@example.org", "password_hash": "plain"}, 400, "validation_failed", "password_hash"),
        ({**BOB, "ban_duration": "1 day"}, 400, "validation_failed", "ban_duration"),
        ({**BOB, "ban_duration": "-1h"}, 400, "validation_failed", "ban_duration"),
        ({**BOB, "ban_duration": "0s"}, 400, "validation_failed", "ban_duration"),
        ({**BOB, "role": " admin"}, 400, "validation_failed", "role"),
        ({**BOB, "aud": "a" * 256}, 400, "validation_failed", "aud"),
        ({**BOB, "id": "7"}, 400, "validation_failed", "id"),
        ({**BOB, "id": "00000000-0000-0000-0000-000000000000"}, 400, "validation_failed", "id"),
        ({**BOB, "user_metadata": {"a": "x" * 5000}}, 422, "validation_failed", "user_metadata"),
        ({**BOB, "app_metadata": {"a": "x" * 5000}}, 422, "validation_failed", "app_metadata"),
        ({**BOB, "email_confirm": "yes"}, 400, "validation_failed", "email_confirm"),
        ({"email": "ann@example.org"}, 422, "email_exists", "registered"),
    ],
)
async def test_what_no_account_is_made_of(
    refused: Refused,
    service_key: str,
    signed_up: Grant,
    tables: Any,
    body: dict[str, Any],
    status: int,
    code: str,
    said: str,
) -> None:
    assert said in await refused(status, code, "POST", "/admin/users", service_key, json=body)
    assert await tables.read("SELECT email FROM auth_users") == [("ann@example.org",)]
    assert signed_up


async def test_what_another_account_has(web: Web, refused: Refused, service_key: str) -> None:
    wanted = str(uuid4())
    async with web(service_key) as client:
        made = await client.post("/admin/users", json={"id": wanted, "phone": "491701234567"})
        assert made.json()["id"] == wanted
        other = (await client.post("/admin/users", json=BOB)).json()["id"]
    again = {"phone": "+49 170 1234567"}
    await refused(422, "phone_exists", "POST", "/admin/users", service_key, json=again)
    await refused(422, "phone_exists", "PUT", f"/admin/users/{other}", service_key, json=again)
    await refused(409, "conflict", "POST", "/admin/users", service_key, json={"id": wanted, "email": "c@example.org"})
    taken = {"email": "bob@example.org"}
    await refused(422, "email_exists", "PUT", f"/admin/users/{wanted}", service_key, json=taken)


async def test_changing_an_account(
    web: Web, service: AuthService, kit: Corekit, service_key: str, signed_up: Grant, tables: Any
) -> None:
    path = f"/admin/users/{typeid('usr', signed_up.session.user.id)}"
    change = {
        "email": "new@example.org",
        "phone": "4917000",
        "role": "editor",
        "user_metadata": {"name": None, "town": "Aachen"},
        "app_metadata": {"plan": "x"},
        "password": "",
        "ban_duration": "",
    }
    async with web(service_key) as client:
        user = (await client.put(path, json=change)).json()
    assert (user["email"], user["phone"], user["role"]) == ("new@example.org", "4917000", "editor")
    assert user["user_metadata"] == {"town": "Aachen"}
    assert user["app_metadata"] == {"provider": "email", "providers": ["email", "phone"], "plan": "x"}
    assert {identity["provider"] for identity in user["identities"]} == {"email", "phone"}
    assert user["identities"][0]["email"] == "new@example.org"
    await service.grant_by_password(kit.caller(), "new@example.org", PASSWORD)
    assert "auth.email_changed" in await tables.told()


async def test_another_password_ends_all_sessions(
    web: Web, service: AuthService, kit: Corekit, service_key: str, signed_up: Grant
) -> None:
    """Statement 13. Goes red when `_set_password` ends nothing."""
    path = f"/admin/users/{signed_up.session.user.id}"
    async with web(service_key) as client, web(signed_up.session.access_token) as ann:
        assert (await client.put(path, json={"password": "another horse battery"})).status_code == 200
        answer = await ann.get("/user")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "session_not_found")
    await service.grant_by_password(kit.caller(), "ann@example.org", "another horse battery")


async def test_a_ban_and_its_end(
    web: Web, refused: Refused, service_key: str, signed_up: Grant, clock: FakeClock, tables: Any
) -> None:
    """Statement 13. Goes red when `apply_ban` ends no session."""
    path = f"/admin/users/{signed_up.session.user.id}"
    body = {"email": "ann@example.org", "password": PASSWORD}
    async with web(service_key) as client:
        banned = (await client.put(path, json={"ban_duration": "24h"})).json()
        assert banned["banned_until"][:19] == (clock.now() + timedelta(days=1)).isoformat()[:19]
        await refused(403, "session_not_found", "GET", "/user", signed_up.session.access_token)
        await refused(400, "user_banned", "POST", "/token?grant_type=password", json=body)
        refresh = {"refresh_token": signed_up.session.refresh_token}
        await refused(400, "refresh_token_not_found", "POST", "/token?grant_type=refresh_token", json=refresh)
        assert "banned_until" not in (await client.put(path, json={"ban_duration": "none"})).json()
        assert (await client.post("/token?grant_type=password", json=body)).status_code == 200
        await client.put(path, json={"ban_duration": "1h30m"})
        clock.move(5401)
        assert (await client.post("/token?grant_type=password", json=body)).status_code == 200
    assert "auth.user_banned" in await tables.told()


@pytest.mark.parametrize("body", [None, {}, {"should_soft_delete": False}])
async def test_deleting(
    web: Web, refused: Refused, service_key: str, signed_up: Grant, tables: Any, body: dict[str, Any] | None
) -> None:
    """Statement 13. Goes red when `delete` ends no session."""
    path = f"/admin/users/{signed_up.session.user.id}"
    async with web(service_key) as client:
        answer = await client.request("DELETE", path, json=body) if body is not None else await client.delete(path)
    assert (answer.status_code, answer.json()) == (200, {})
    await refused(403, "user_not_found", "GET", "/user", signed_up.session.access_token)
    await refused(404, "user_not_found", "DELETE", path, service_key)
    for table in ("auth_users", "auth_identities", "auth_sessions"):
        assert await tables.read(f"SELECT id FROM {table}") == []  # noqa: S608
    assert {"auth.user_deleted", "auth.session_ended"} <= set(await tables.told())


async def test_a_soft_deletion_keeps_a_row_that_names_nobody(
    web: Web, refused: Refused, service: AuthService, kit: Corekit, service_key: str, signed_up: Grant, tables: Any
) -> None:
    path = f"/admin/users/{signed_up.session.user.id}"
    async with web(service_key) as client:
        await client.put(path, json={"phone": "491701234567"})
        for _ in range(2):  # the second changes nothing
            assert (await client.request("DELETE", path, json={"should_soft_delete": True})).json() == {}
        shell = (await client.get(path)).json()
        again = await client.post("/admin/users", json={"email": "ann@example.org", "phone": "491701234567"})
        assert again.status_code == 200
        second = await client.request("DELETE", f"/admin/users/{again.json()['id']}", json={"should_soft_delete": True})
        assert second.status_code == 200
    assert set(shell) == USER | {"email_confirmed_at", "confirmed_at", "last_sign_in_at", "deleted_at"}
    assert len(shell["email"]) == 64
    assert "1234567" not in shell["phone"]
    assert (shell["user_metadata"], shell["app_metadata"], shell["identities"]) == ({}, {}, [])
    await refused(403, "user_not_found", "GET", "/user", signed_up.session.access_token)
    await refused(404, "user_not_found", "PUT", path, service_key, json={"role": "x"})
    body = {"email": "ann@example.org", "password": PASSWORD}
    await refused(400, "invalid_credentials", "POST", "/token?grant_type=password", json=body)
    assert await tables.read("SELECT id FROM auth_identities") == []
    async with kit.caller().begin(readonly=True) as ctx:
        assert await service.user(ctx, signed_up.session.user.id) is None
    async with web(service_key) as client:
        assert (await client.delete(path)).status_code == 200
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("value", ["yes", 1])
async def test_a_deletion_that_is_not_understood(
    refused: Refused, service_key: str, signed_up: Grant, value: object
) -> None:
    path = f"/admin/users/{signed_up.session.user.id}"
    await refused(400, "validation_failed", "DELETE", path, service_key, json={"should_soft_delete": value})
    await refused(400, "validation_failed", "DELETE", path, service_key, json=[value])
    await refused(400, "bad_json", "DELETE", path, service_key, content=b"{")


@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/factors")])
async def test_nobody_of_that_id(refused: Refused, service_key: str, method: str, tail: str) -> None:
    body = {"json": {"role": "x"}} if method == "PUT" else {}
    await refused(404, "user_not_found", method, f"/admin/users/{uuid4()}{tail}", service_key, **body)
    await refused(400, "validation_failed", method, f"/admin/users/7{tail}", service_key, **body)


async def test_signing_somebody_out(
    web: Web, refused: Refused, service_key: str, signed_up: Grant, tables: Any
) -> None:
    """Statement 13, by an administrator."""
    path = f"/admin/x/users/{signed_up.session.user.id}/logout"
    async with web(service_key) as client:
        answer = await client.post(path)
    assert (answer.status_code, answer.content) == (204, b"")
    await refused(403, "session_not_found", "GET", "/user", signed_up.session.access_token)
    await refused(404, "user_not_found", "POST", f"/admin/x/users/{uuid4()}/logout", service_key)
    assert await tables.read("SELECT id FROM auth_sessions") == []


@pytest.mark.parametrize("settings", [{"anonymous_rate": {"count": 7, "period": 60, "burst": 3}}])
async def test_the_limits_are_those_of_the_settings(web: Web, service: AuthService, service_key: str) -> None:
    async with web(service_key) as client:
        limits = {limit.pop("name"): limit for limit in (await client.get("/admin/x/limits")).json()["limits"]}
    assert limits.keys() == service.settings.rules.keys()
    assert limits["anonymous"] == {"kind": "ip", "count": 7, "period": 60, "burst": 3}
