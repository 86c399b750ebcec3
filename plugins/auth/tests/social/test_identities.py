"""Linking and unlinking by hand."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from corekit import Corekit
from corekit.testing import FakeClock
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
NOBODYS = "019abcde-0000-7000-8000-000000000000"
START = "/user/identities/authorize"


@pytest.fixture
def extra() -> dict[str, Any]:
    """Linking by hand is on."""
    return {"manual_linking": True}


@pytest.fixture
def token(signed_up: Grant) -> str:
    """Give Ann's bearer."""
    return signed_up.session.access_token


async def link(web: Web, standin: Any, token: str) -> dict[str, str]:
    async with web(token) as client:
        away = await client.get(START, params={"provider": "acme", "skip_http_redirect": "true"})
        assert set(away.json()) == {"url"}, away.text
        back = await client.get("/callback", params=standin.visit(away.json()["url"]))
    return dict(parse_qsl(urlsplit(back.headers["location"]).fragment, keep_blank_values=True))


async def known(web: Web, token: str) -> list[dict[str, Any]]:
    async with web(token) as client:
        return list((await client.get("/user")).json()["identities"])


async def test_another_address_is_linked_and_unlinked(web: Web, standin: Any, token: str, tables: Any) -> None:
    standin.person |= {"email": "elsewhere@example.org", "email_verified": False}
    assert "access_token" in await link(web, standin, token)
    identities = await known(web, token)
    assert [one["provider"] for one in identities] == ["email", "acme"]
    assert await tables.read("SELECT email FROM auth_users") == [("ann@example.org",)]
    async with web(token) as client:
        gone = await client.delete(f"/user/identities/{identities[1]['identity_id']}")
        assert (gone.status_code, gone.json()) == (200, {})
        user = (await client.get("/user")).json()
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert (await tables.told())[-3:] == ["auth.identity_linked", "auth.signed_in", "auth.identity_unlinked"]


async def test_the_browser_may_be_sent_at_once(web: Web, standin: Any, token: str) -> None:
    async with web(token) as client:
        away = await client.get(START, params={"provider": "acme"})
    assert away.status_code == 302
    standin.visit(away.headers["location"])


async def test_an_identity_is_linked_once(
    web: Web, standin: Any, token: str, service: AuthService, kit: Corekit
) -> None:
    await link(web, standin, token)
    assert (await link(web, standin, token))["error_code"] == "identity_already_exists"
    ben = await service.grant_by_sign_up(kit.caller(), "ben@example.org", "correct horse battery", {})
    failed = await link(web, standin, ben.session.access_token)
    assert failed["error_code"] == "identity_already_exists"
    assert "another user" in failed["error_description"]
    assert len(await known(web, ben.session.access_token)) == 1


async def test_a_link_ends_with_the_session_that_asked(web: Web, standin: Any, token: str, tables: Any) -> None:
    async with web(token) as client:
        away = await client.get(START, params={"provider": "acme", "skip_http_redirect": "1"})
        await client.post("/logout")
        back = await client.get("/callback", params=standin.visit(away.json()["url"]))
    assert "error_code=bad_oauth_state" in back.headers["location"]
    assert len(await tables.read("SELECT id FROM auth_identities")) == 1


async def test_an_id_token_is_linked(web: Web, refused: Refused, standin: Any, token: str) -> None:
    path, standin.person["email"] = "/token?grant_type=id_token", "elsewhere@example.org"
    body = {"provider": "acme", "id_token": standin.id_token(), "link_identity": True}
    await refused(401, "no_authorization", "POST", path, json=body)
    async with web(token) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert [one["provider"] for one in answer.json()["user"]["identities"]] == ["email", "acme"]
    await refused(422, "identity_already_exists", "POST", path, token, json=body)


async def test_the_last_identity_stays(web: Web, refused: Refused, standin: Any, token: str) -> None:
    (only,) = await known(web, token)
    path = f"/user/identities/{only['identity_id']}"
    await refused(422, "single_identity_not_deletable", "DELETE", path, token)
    await link(web, standin, token)
    await refused(422, "identity_not_found", "DELETE", f"/user/identities/{NOBODYS}", token)
    await refused(422, "identity_not_found", "DELETE", "/user/identities/x", token)


async def test_with_the_address_goes_its_password(web: Web, refused: Refused, standin: Any, token: str) -> None:
    await link(web, standin, token)
    identity = (await known(web, token))[0]["identity_id"]
    async with web(token) as client:
        assert (await client.delete(f"/user/identities/{identity}")).status_code == 200
    body = {"email": "ann@example.org", "password": "correct horse battery"}
    await refused(400, "invalid_credentials", "POST", "/token?grant_type=password", json=body)


async def test_somebody_elses_identity_is_none_of_mine(
    web: Web, refused: Refused, standin: Any, token: str, service: AuthService, kit: Corekit
) -> None:
    ben = await service.grant_by_sign_up(kit.caller(), "ben@example.org", "correct horse battery", {})
    theirs = (await known(web, ben.session.access_token))[0]["identity_id"]
    await link(web, standin, token)
    await refused(422, "identity_not_found", "DELETE", f"/user/identities/{theirs}", token)
    assert len(await known(web, ben.session.access_token)) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"{START}?provider=acme"), ("DELETE", f"/user/identities/{NOBODYS}")]
)
class TestWhoMay:
    """Each route of one's own identities."""

    async def test_nobody(self, refused: Refused, method: str, path: str) -> None:
        await refused(401, "no_authorization", method, path)
        await refused(403, "bad_jwt", method, path, "anon")

    async def test_statement_11_not_after_an_old_sign_in(
        self,
        refused: Refused,
        signed_up: Grant,
        service: AuthService,
        kit: Corekit,
        clock: FakeClock,
        method: str,
        path: str,
    ) -> None:
        """Red without `freshness.demand` in `Social`."""
        clock.move(901)
        grant = await service.grant_by_refresh(kit.caller(), signed_up.session.refresh_token)
        await refused(403, "reauthentication_needed", method, path, grant.session.access_token)

    @pytest.mark.parametrize("extra", [{}])
    async def test_off(self, refused: Refused, signed_up: Grant, method: str, path: str) -> None:
        await refused(404, "manual_linking_disabled", method, path, signed_up.session.access_token)
        await refused(404, "manual_linking_disabled", method, path)

    async def test_other_methods(self, refused: Refused, method: str, path: str) -> None:
        await refused(405, "unknown", "PUT", path)
