"""GitHub has no id_token: who somebody is, and which address is verified, it is asked."""

from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from litestar import Litestar, Request, Response, get, post

from corekit.testing import serve

Web = Callable[..., httpx.AsyncClient]


class GitHub:
    """Answers as GitHub's documentation has it: refusals with 200, lists of addresses, a number as id."""

    def __init__(self) -> None:
        self.url = ""
        self.user: dict[str, Any] = {
            "id": 583231,
            "login": "octo",
            "name": "Octo Cat",
            "email": "public@example.org",
            "avatar_url": "https://pictures.example.org/octo",
        }
        self.emails: Any = [
            {"email": "old@example.org", "primary": False, "verified": True},
            {"email": "Octo@example.org", "primary": True, "verified": True},
        ]

    def app(self) -> Litestar:
        """Make its routes."""

        @post("/access_token", status_code=200)
        async def access_token(request: Request[Any, Any, Any]) -> dict[str, str]:
            form = dict(await request.form())
            assert request.headers["accept"] == "application/json", "it answers a form otherwise"
            if (form["client_id"], form["client_secret"], form["code"]) != ("gh", "secret", "good"):
                return {"error": "bad_verification_code"}
            assert len(form["code_verifier"]) >= 43
            return {"access_token": "gho_1", "token_type": "bearer", "scope": "user:email"}

        def answered(request: Request[Any, Any, Any], body: Any) -> Response[Any]:
            if request.headers.get("authorization") != "Bearer gho_1" or "user-agent" not in request.headers:
                return Response({"message": "Bad credentials"}, status_code=401)
            return Response(body)

        @get("/user")
        async def user(request: Request[Any, Any, Any]) -> Response[Any]:
            return answered(request, self.user)

        @get("/user/emails")
        async def emails(request: Request[Any, Any, Any]) -> Response[Any]:
            return answered(request, self.emails)

        return Litestar([access_token, user, emails], openapi_config=None)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database."""
    return sqlite_url


@pytest.fixture
async def github() -> AsyncGenerator[GitHub]:
    """Serve it."""
    made = GitHub()
    async with serve(made.app()) as made.url:
        yield made


@pytest.fixture
def settings(github: GitHub) -> dict[str, Any]:
    """Keep what corekit knows of GitHub, but for the host."""
    provider = {
        "client_id": "gh",
        "client_secret": "secret",
        "token_endpoint": f"{github.url}/access_token",
        "userinfo_endpoint": f"{github.url}/user",
        "emails_endpoint": f"{github.url}/user/emails",
    }
    return {"social": {"github": provider}}


async def come_back(web: Web, code: str = "good") -> dict[str, str]:
    async with web() as client:
        away = (await client.get("/authorize", params={"provider": "github"})).headers["location"]
        assert away.startswith("https://github.com/login/oauth/authorize?")
        asked = dict(parse_qsl(urlsplit(away).query))
        assert (asked["scope"], asked["client_id"]) == ("read:user user:email", "gh")
        assert "nonce" not in asked
        back = await client.get("/callback", params={"code": code, "state": asked["state"]})
    return dict(parse_qsl(urlsplit(back.headers["location"]).fragment, keep_blank_values=True))


async def test_the_primary_verified_address_counts(web: Web) -> None:
    """Not the one that somebody shows in their profile."""
    given = await come_back(web)
    assert given["provider_token"] == "gho_1"
    async with web(given["access_token"]) as client:
        user = (await client.get("/user")).json()
    assert user["email"] == "octo@example.org"
    assert user["app_metadata"]["providers"] == ["github"]
    (identity,) = user["identities"]
    assert identity["id"] == "583231"
    assert identity["identity_data"] == {
        "sub": "583231",
        "provider_id": "583231",
        "email": "octo@example.org",
        "email_verified": True,
        "phone_verified": False,
        "name": "Octo Cat",
        "full_name": "Octo Cat",
        "user_name": "octo",
        "picture": "https://pictures.example.org/octo",
        "avatar_url": "https://pictures.example.org/octo",
    }


@pytest.mark.parametrize(
    "emails",
    [
        [{"email": "octo@example.org", "primary": True, "verified": False}],
        [{"email": "octo@example.org", "primary": False, "verified": True}],
        [{"email": "octo@example.org", "primary": "yes", "verified": "yes"}],
        [],
        {"message": "no"},
    ],
)
async def test_no_verified_primary_address_is_no_address(web: Web, github: GitHub, emails: Any) -> None:
    github.emails = emails
    given = await come_back(web)
    async with web(given["access_token"]) as client:
        assert (await client.get("/user")).json()["email"] == ""


@pytest.mark.parametrize("user", [{}, {"id": True}, {"id": ""}, {"id": None}, [], {"id": "x" * 256}])
async def test_an_answer_that_names_nobody(web: Web, github: GitHub, user: Any) -> None:
    github.user = user
    assert (await come_back(web))["error_code"] == "bad_oauth_callback"


async def test_a_refusal_with_200_is_one(web: Web, tables: Any) -> None:
    assert (await come_back(web, code="bad"))["error_code"] == "bad_oauth_callback"
    assert await tables.read("SELECT id FROM auth_users") == []


async def test_it_issues_no_id_tokens(web: Web) -> None:
    async with web() as client:
        answer = await client.post("/token?grant_type=id_token", json={"provider": "github", "id_token": "x"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "provider_disabled")
