"""What is off says so, wrong methods and broken bodies too, and nobody is let in by mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from corekit import Corekit
from corekit.testing import FakeClock, make_kit
from corekit.web import create_app
from corekit.web.guards import PUBLIC
from corekit_auth import AuthPlugin
from corekit_auth.errors import Code
from corekit_auth.objects import Grant

Web = Callable[..., httpx.AsyncClient]
PASSWORD = "correct horse battery"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database."""
    return sqlite_url


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/authorize?provider=google", 400, "validation_failed"),
        ("GET", "/callback", 404, "feature_disabled"),
        ("GET", "/user/identities/authorize", 404, "manual_linking_disabled"),
        ("DELETE", "/user/identities/0190", 404, "manual_linking_disabled"),
        ("POST", "/factors/0190/nothing", 404, "feature_disabled"),
        ("POST", "/passkeys/authentication/options", 404, "passkey_disabled"),
        ("GET", "/passkeys", 404, "passkey_disabled"),
        ("POST", "/sso", 404, "saml_provider_disabled"),
        ("GET", "/sso/saml/metadata", 404, "saml_provider_disabled"),
        ("POST", "/oauth/token", 404, "feature_disabled"),
        ("GET", "/.well-known/oauth-authorization-server", 404, "feature_disabled"),
        ("GET", "/scim/v2/Users", 404, "feature_disabled"),
        ("GET", "/x", 404, "feature_disabled"),
        ("GET", "/x/nothing", 404, "feature_disabled"),
        ("GET", "/x/sessions/1/2", 404, "feature_disabled"),
        ("PATCH", "/nothing/of/the/kind", 404, "feature_disabled"),
        ("GET", "/", 404, "feature_disabled"),
        ("GET", "/token", 405, "unknown"),
        ("DELETE", "/user", 405, "unknown"),
        ("POST", "/health", 405, "unknown"),
        ("GET", "/otp", 405, "unknown"),
        ("POST", "/reauthenticate", 405, "unknown"),
        ("PUT", "/verify", 405, "unknown"),
    ],
)
async def test_what_is_off_says_so_in_both_forms(web: Web, method: str, path: str, status: int, code: str) -> None:
    assert code in set(Code)
    async with web() as old, web(version="2025-06-01") as new:
        before, after = await old.request(method, path), await new.request(method, path)
    assert (before.status_code, after.status_code) == (status, status)
    assert (before.json()["error_code"], after.json()["code"]) == (code, code)
    assert before.headers["x-sb-error-code"] == code
    assert after.headers["X-Supabase-Api-Version"] == "2024-01-01"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/users",
        "/admin/x/users",
        "/invite/nothing",
        "/admin",
        "/admin/users/1/x",
        "/admin/users/1/factors/2/3",
        "/admin/x",
    ],
)
async def test_administrators_routes(web: Web, signed_up: Grant, path: str) -> None:
    """Statement 18."""
    async with web() as nobody, web("anon") as stranger, web(signed_up.session.access_token) as user:
        answers = [(await client.get(path)) for client in (nobody, stranger, user)]
    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [
        (401, "no_authorization"),
        (403, "bad_jwt"),
        (403, "not_admin"),
    ]


@pytest.mark.parametrize("path", ["/signup", "/token?grant_type=password", "/token?grant_type=refresh_token"])
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"", 400, "validation_failed"),
        (b"null", 400, "validation_failed"),
        (b"[]", 400, "validation_failed"),
        (b'"x"', 400, "validation_failed"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b'{"email": "\\ud800"}', 400, "bad_json"),
        (b'{"email": ' + b'"' + b"x" * (1 << 20) + b'"}', 413, "request_entity_too_large"),
    ],
    ids=["broken", "empty", "null", "list", "text", "no utf-8", "deep", "half a character", "large"],
)
async def test_a_body_that_is_none(web: Web, path: str, content: bytes, status: int, code: str) -> None:
    async with web() as client:
        answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text


@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", "text/plain;charset=UTF-8", ""])
async def test_a_body_is_json_whatever_it_is_called(web: Web, content_type: str) -> None:
    content = b'{"email": "bob@example.org", "password": "correct horse battery"}'
    async with web() as client:
        answer = await client.post("/signup", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("version", ["2023-12-31", "yesterday", "", "2024-13-01"])
async def test_an_unknown_version_is_none(web: Web, version: str) -> None:
    async with web() as client:
        answer = await client.get("/user", headers={"X-Supabase-Api-Version": version})
    assert set(answer.json()) == {"code", "error_code", "msg"}
    assert "X-Supabase-Api-Version" not in answer.headers


def test_every_route_says_why_it_is_open(kit: Corekit) -> None:
    """The protocol refuses in its own words, so every handler reads the bearer itself."""
    app = create_app(kit, lifespan=False)
    handlers = [
        handler
        for route in app.routes
        if route.path.startswith("/auth/v1")
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler) and "OPTIONS" not in handler.http_methods
    ]
    assert len(handlers) > 10
    for handler in handlers:
        assert handler.opt["bearer"] == "own"
        assert any(hasattr(guard, PUBLIC) for guard in handler.resolve_guards())


async def test_at_the_root_of_a_server_the_rest_is_left_to_others(tmp_path: Path, clock: FakeClock) -> None:
    """The prefix may be empty, for `GoTrueClient({ url })`."""
    settings: dict[str, Any] = {"auth": {"prefix": ""}}
    async with make_kit([AuthPlugin()], tmp_path=tmp_path, clock=clock, settings=settings) as kit:
        transport = httpx.ASGITransport(create_app(kit, lifespan=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            body = {"email": "bob@example.org", "password": PASSWORD}
            assert (await client.post("/signup", json=body)).status_code == 200
            assert (await client.get("/live")).status_code == 200
            assert (await client.get("/nothing")).headers["content-type"] == "application/problem+json"
