"""A real provider of OpenID Connect, npm's `oidc-provider`, and the unmodified client `supabase_auth`."""

import base64
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError

from corekit import Corekit
from corekit.testing import serve
from corekit.values import SystemClock

HAS_NODE = shutil.which("node") is not None and shutil.which("npm") is not None
VERIFIER = "v" * 64
REDIRECT = "http://localhost:8000/auth/v1/callback"

pytestmark = pytest.mark.skipif(
    not HAS_NODE and not os.environ.get("CI"), reason="node and npm are not installed; CI has them"
)


@pytest.fixture(scope="session")
def issuer(openid_provider: Callable[[str], str]) -> str:
    """Run the provider."""
    return openid_provider(REDIRECT)


@pytest.fixture
def clock() -> SystemClock:
    """The provider looks at the real time."""
    return SystemClock()


@pytest.fixture
def settings(issuer: str) -> dict[str, Any]:
    """Set it up once per way in which a client shows who it is, by names that the clients know."""
    one = {"kind": "oidc", "issuer": issuer}
    return {
        "manual_linking": True,
        "social": {
            "keycloak": one | {"client_id": "posts", "client_secret": "secret of posts %:&"},
            "gitlab": one | {"client_id": "basic", "client_secret": "secret of basic %:&", "client_auth": "basic"},
            "public": one | {"client_id": "public"},
            "wrong": one | {"client_id": "posts", "client_secret": "not this one"},
        },
    }


class Browser:
    """Somebody at a browser, with the cookies of the provider."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.server = ""
        self._http = httpx.AsyncClient()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def sign_in(self, url: str) -> dict[str, str]:
        """Log in and agree; return what the provider sends back."""
        return await self._follow(await self._http.get(url))

    async def say_no(self, url: str) -> dict[str, str]:
        """Turn back at the login page."""
        page = await self._http.get(url)
        return await self._follow(await self._http.get(f"{page.next_request.url}/abort"))  # type: ignore[union-attr]

    async def _follow(self, answer: httpx.Response) -> dict[str, str]:
        for _ in range(12):
            if answer.next_request is None:
                return {"page": answer.text}
            url = str(answer.next_request.url)
            if url.startswith(REDIRECT):
                return dict(parse_qsl(urlsplit(url).query))
            answer = await self._http.get(url)
            if answer.is_success and "/interaction/" in url:
                prompt = "consent" if 'value="consent"' in answer.text else "login"
                form = {"prompt": prompt} | ({"login": self.login, "password": "x"} if prompt == "login" else {})
                answer = await self._http.post(url, data=form)
        raise AssertionError("the provider goes in circles")


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Give Ann's."""
    async with Browser("ann") as made:
        yield made


async def start(web: Any, provider: str, **asked: str) -> str:
    async with web() as client:
        answer = await client.get("/authorize", params={"provider": provider, **asked})
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def finish(web: Any, said: dict[str, str]) -> dict[str, str]:
    async with web() as client:
        address = (await client.get("/callback", params=said)).headers["location"]
    return dict(parse_qsl(urlsplit(address).fragment, keep_blank_values=True))


@pytest.mark.parametrize("provider", ["keycloak", "gitlab", "public"])
async def test_somebody_signs_in(web: Any, browser: Browser, issuer: str, provider: str) -> None:
    """The id_token leaves the address out (its claims come with the access token), so it is asked for."""
    said = await browser.sign_in(await start(web, provider))
    assert said["iss"] == issuer
    given = await finish(web, said)
    async with web(given["access_token"]) as client:
        user = (await client.get("/user")).json()
    assert user["email"] == "ann@example.org"
    assert user["user_metadata"]["full_name"] == "The ann"
    assert user["app_metadata"] == {"provider": provider, "providers": [provider]}
    async with httpx.AsyncClient() as http:
        bearer = {"Authorization": f"Bearer {given['provider_token']}"}
        assert (await http.get(f"{issuer}/me", headers=bearer)).json()["sub"] == "ann"


async def test_an_address_that_is_not_verified_there(web: Any) -> None:
    async with Browser("unverified-ben") as ben:
        failed = await finish(web, await ben.sign_in(await start(web, "keycloak")))
    assert failed["error_code"] == "provider_email_needs_verification"


async def test_somebody_says_no(web: Any, browser: Browser) -> None:
    failed = await finish(web, await browser.say_no(await start(web, "keycloak")))
    assert (failed["error"], failed["error_code"]) == ("access_denied", "bad_oauth_callback")


async def test_a_code_is_good_once_and_for_its_own_flow(web: Any, browser: Browser) -> None:
    first, second = await start(web, "keycloak"), await start(web, "keycloak")
    code = (await browser.sign_in(first))["code"]
    state = dict(parse_qsl(urlsplit(second).query))["state"]
    assert (await finish(web, {"code": code, "state": state}))["error_code"] == "bad_oauth_callback"


async def test_a_wrong_secret(web: Any, browser: Browser) -> None:
    failed = await finish(web, await browser.sign_in(await start(web, "wrong")))
    assert failed["error_code"] == "bad_oauth_callback"


async def test_two_providers_of_one_person(web: Any, browser: Browser) -> None:
    """Both have verified the address, so it is one account."""
    users = []
    for provider in ("keycloak", "gitlab"):
        given = await finish(web, await browser.sign_in(await start(web, provider)))
        async with web(given["access_token"]) as client:
            users.append((await client.get("/user")).json())
    assert users[0]["id"] == users[1]["id"]
    assert users[1]["app_metadata"]["providers"] == ["keycloak", "gitlab"]


class TestSupabaseAuth:
    """The unmodified client."""

    @pytest.fixture
    async def client(self, kit: Corekit, browser: Browser) -> AsyncGenerator[Any]:
        """Make one, as an application without a session does."""
        async with serve(kit) as url:
            browser.server = url
            headers = {"apikey": "anon", "Authorization": "Bearer anon"}
            made = AsyncGoTrueClient(url=f"{url}/auth/v1", headers=headers, flow_type="pkce", auto_refresh_token=False)
            yield made
            await made.close()

    async def test_an_id_token(self, client: Any, browser: Browser, issuer: str) -> None:
        """As an app has it that asked the provider itself, with a nonce of its own."""
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        asked = {
            "client_id": "public",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "openid",
            "nonce": "a nonce of the app",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        said = await browser.sign_in(f"{issuer}/auth?{httpx.QueryParams(asked)}")
        form = {
            "grant_type": "authorization_code",
            "code": said["code"],
            "redirect_uri": REDIRECT,
            "client_id": "public",
            "code_verifier": VERIFIER,
        }
        async with httpx.AsyncClient() as http:
            tokens = (await http.post(f"{issuer}/token", data=form)).json()
        credentials = {
            "provider": "public",
            "token": tokens["id_token"],
            "access_token": tokens["access_token"],
            "nonce": "a nonce of the app",
        }
        answer = await client.sign_in_with_id_token(credentials)
        assert answer.session.access_token
        assert answer.user.identities[0].provider == "public"
        assert (await client.get_user()).user.id == answer.user.id

    async def test_away_and_back(self, client: Any, browser: Browser) -> None:
        """The client keeps the verifier; the code that comes back opens for it alone, once."""
        away = await client.sign_in_with_oauth({"provider": "keycloak", "options": {"scopes": "offline_access"}})
        code = await walk(browser, away.url)
        answer = await client.exchange_code_for_session({"auth_code": code})
        assert answer.user.email == "ann@example.org"
        assert answer.session.provider_token
        assert (await client.get_user()).user.id == answer.user.id
        claims = (await client.get_claims())["claims"]
        assert claims["amr"][0]["method"] == "oauth"
        assert claims["amr"][0]["provider"] == "keycloak"
        with pytest.raises(AuthApiError) as refusal:
            await client.exchange_code_for_session({"auth_code": code, "code_verifier": "v" * 43})
        assert refusal.value.code == "flow_state_not_found"

    async def test_identities(self, client: Any, browser: Browser) -> None:
        """One is linked, seen, and unlinked again."""
        await client.sign_up({"email": "other@example.org", "password": "correct horse battery"})
        away = await client.link_identity({"provider": "gitlab"})
        code = await walk(browser, away.url)
        await client.exchange_code_for_session({"auth_code": code})
        linked = (await client.get_user_identities()).identities
        assert [one.provider for one in linked] == ["email", "gitlab"]
        await client.unlink_identity(linked[1])
        assert [one.provider for one in (await client.get_user_identities()).identities] == ["email"]


async def walk(browser: Browser, url: str) -> str:
    """Go where a client sends somebody, and come back with the code."""
    async with httpx.AsyncClient() as http:
        if "/auth/v1/authorize" in url:
            url = (await http.get(url)).headers["location"]
        said = await browser.sign_in(url)
        back = await http.get(f"{browser.server}/auth/v1/callback", params=said)
    return dict(parse_qsl(urlsplit(back.headers["location"]).query))["code"]
