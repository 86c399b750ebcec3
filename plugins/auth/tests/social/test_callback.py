"""Away to a provider and back; the provider is a strict one of our own."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
from sqlalchemy import update

from corekit import Caller, Context, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import Auth, User, UserDraft, after_user_created, before_user_created
from corekit.data import DatabaseSettings
from corekit.errors import Forbidden, InsideContext
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.errands import Back, Wish
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "s256"}


def query(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


def fragment(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).fragment, keep_blank_values=True))


async def away(web: Web, **asked: str) -> str:
    async with web() as client:
        answer = await client.get("/authorize", params={"provider": "acme", **asked})
    assert answer.status_code == 302, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.headers["location"]


async def back(web: Web, said: dict[str, str]) -> str:
    async with web() as client:
        answer = await client.get("/callback", params=said)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def test_a_new_person_comes_in_with_tokens(web: Web, standin: Any, tables: Any) -> None:
    landed = await back(web, standin.visit(await away(web)))
    assert landed.startswith("https://app.example.org#")
    given = fragment(landed)
    assert set(given) == {
        "access_token",
        "expires_at",
        "expires_in",
        "provider_refresh_token",
        "provider_token",
        "refresh_token",
        "sb",
        "token_type",
    }
    assert (given["provider_token"], given["provider_refresh_token"]) == ("theirs", "theirs-too")
    async with web(given["access_token"]) as client:
        user = (await client.get("/user")).json()
    assert user["email"] == "ann@example.org"
    assert user["email_confirmed_at"]
    assert user["app_metadata"] == {"provider": "acme", "providers": ["acme"]}
    assert user["user_metadata"]["name"] == "Ann"
    (identity,) = user["identities"]
    assert (identity["provider"], identity["id"], identity["email"]) == ("acme", "1234", "ann@example.org")
    assert identity["identity_data"]["sub"] == "1234"
    assert identity["identity_data"]["email_verified"] is True
    assert await tables.told() == ["auth.user_created", "auth.identity_linked", "auth.signed_in"]
    ((amr,),) = await tables.read("SELECT amr FROM auth_sessions")
    amr = msgspec.json.decode(amr) if isinstance(amr, str) else amr
    assert (amr[0]["method"], amr[0]["provider"]) == ("oauth", "acme")


async def test_the_same_person_comes_again(web: Web, standin: Any, tables: Any) -> None:
    """An identity is (provider, subject): the address may change there."""
    await back(web, standin.visit(await away(web)))
    standin.person |= {"email": "ann@elsewhere.example.org", "email_verified": False}
    assert "access_token" in fragment(await back(web, standin.visit(await away(web))))
    assert await tables.read("SELECT email FROM auth_users") == [("ann@example.org",)]
    assert len(await tables.read("SELECT id FROM auth_identities")) == 1


async def test_a_code_for_whoever_began_with_a_challenge(web: Web, standin: Any) -> None:
    """The tokens of the provider wait in the flow, for the exchange."""
    landed = await back(web, standin.visit(await away(web, **PKCE)))
    assert urlsplit(landed).fragment == ""
    assert set(query(landed)) == {"code"}
    body = {"auth_code": query(landed)["code"], "code_verifier": VERIFIER}
    async with web() as client:
        wrong = await client.post("/token?grant_type=pkce", json=body | {"code_verifier": "w" * 64})
        answers = await asyncio.gather(*(client.post("/token?grant_type=pkce", json=body) for _ in range(5)))
    assert wrong.json()["error_code"] == "bad_code_verifier"
    (session,) = (one.json() for one in answers if one.status_code == 200)
    assert {one.json()["error_code"] for one in answers if one.status_code != 200} == {"flow_state_not_found"}
    assert (session["provider_token"], session["provider_refresh_token"]) == ("theirs", "theirs-too")
    assert session["user"]["email"] == "ann@example.org"


class Picky(Plugin[Settings]):
    """Looks at everybody who is new."""

    name = "picky"
    requires = (Auth,)
    seen: ClassVar[list[Any]] = []

    @implements(before_user_created)
    async def look(self, draft: UserDraft, ctx: Context) -> UserDraft | None:
        """Give everybody a colour; take nobody called Mallory."""
        if draft.user_metadata.get("name") == "Mallory":
            raise Forbidden("not you")
        changed = {**draft.user_metadata, "colour": "green"}
        return msgspec.structs.replace(draft, user_metadata=changed, provider="x", email="x@example.org")

    @implements(after_user_created)
    async def note(self, user: User, ctx: Context) -> None:
        """Remember them."""
        self.seen.append(user.email)


async def test_the_hooks_of_new_accounts_are_asked(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any], standin: Any
) -> None:
    tables = {"auth": settings, "jobs": {"worker": False}}
    Picky.seen.clear()
    plugins = [AuthPlugin(), Picky()]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        service, caller = kit.get(AuthService), kit.caller()
        for name, outcome in (("Mallory", "error_description=not+you"), ("Ann", "access_token=")):
            standin.person["name"] = name
            said = standin.visit(await service.social.start(caller, Wish(provider="acme")))
            assert outcome in await service.social.callback(caller, Back(**said))
        async with caller.begin(readonly=True) as ctx:
            known = await service.find(ctx, email="ann@example.org")
    assert known is not None
    assert known.user_metadata["colour"] == "green"
    assert Picky.seen == ["ann@example.org"]


@pytest.mark.parametrize("extra", [{"redirect_allow": ["https://app.example.org/in"]}])
async def test_statement_16_a_foreign_address_is_never_where_somebody_lands(web: Web, standin: Any) -> None:
    """Red without `redirects.allowed` in `Social._begin`."""
    landed = await back(web, standin.visit(await away(web, redirect_to="https://evil.example.org")))
    assert landed.startswith("https://app.example.org#")
    landed = await back(web, standin.visit(await away(web, redirect_to="https://app.example.org/in?a=1", **PKCE)))
    assert landed.startswith("https://app.example.org/in?a=1&code=")


async def test_statement_16_a_state_is_used_once(web: Web, standin: Any, clock: FakeClock, tables: Any) -> None:
    """Red if `Flows.spend` leaves `used_at` alone, or looks at no `expires_at`."""
    said = standin.visit(await away(web))
    answers = await asyncio.gather(*(back(web, said) for _ in range(5)))
    assert sum("access_token" in fragment(one) for one in answers) == 1
    assert sum(query(one).get("error_code") == "bad_oauth_state" for one in answers) == 4
    late = standin.visit(await away(web))
    clock.move(301)
    landed = await back(web, late)
    assert query(landed) == fragment(landed)
    assert query(landed)["error"] == "invalid_request"
    assert query(landed)["error_code"] == "bad_oauth_state"
    assert query(landed)["error_description"]
    assert standin.asked.count("token") == 1
    for state in ("", "made-up"):
        assert query(await back(web, {"code": "x", "state": state}))["error_code"] == "bad_oauth_state"


@pytest.mark.parametrize(
    "broken",
    ["refused there", "no code", "wrong code", "nonce", "audience", "down", "issuer", "expired"],
)
async def test_what_fails_says_so_and_spends_the_state(web: Web, standin: Any, tables: Any, broken: str) -> None:
    said = standin.visit(await away(web, **PKCE))
    changes = {"nonce": {"nonce": "x"}, "audience": {"aud": "other"}, "issuer": {"iss": "x"}, "expired": {"exp": 1}}
    standin.changes = changes.get(broken, {})
    standin.status = 503 if broken == "down" else 200
    if broken == "refused there":
        said = {"state": said["state"], "error": "access_denied", "error_description": "<b>secret</b>"}
    elif broken == "no code":
        del said["code"]
    elif broken == "wrong code":
        said["code"] += "x"
    failed = query(await back(web, said))
    assert set(failed) == {"error", "error_code", "error_description"}
    assert failed["error_code"] == "bad_oauth_callback"
    assert "secret" not in failed["error_description"]
    assert query(await back(web, said))["error_code"] == "bad_oauth_state"
    assert await tables.read("SELECT id FROM auth_users") == []


async def test_another_provider_sends_nobody_back(web: Web, standin: Any) -> None:
    """A code of one provider is not offered to another (RFC 9207)."""
    said = standin.visit(await away(web, **PKCE)) | {"iss": "https://evil.example.org"}
    assert query(await back(web, said))["error_code"] == "bad_oauth_callback"
    assert "token" not in standin.asked


async def test_what_is_asked_of_the_provider(web: Web, standin: Any) -> None:
    """What the protocol reserves is ours to say; the rest is passed on."""
    reserved = {"client_id": "x", "redirect_uri": "x", "state": "x", "nonce": "x", "scope": "x", "request": "x"}
    address = await away(web, scopes="calendar, files", prompt="consent", invite_token="x", **reserved, **PKCE)
    standin.visit(address)
    asked = query(address)
    assert asked["scope"] == "openid email profile calendar files"
    assert asked["prompt"] == "consent"
    assert not {"provider", "scopes", "invite_token", "redirect_to", "request"} & set(asked)
    assert CHALLENGE not in address


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "provider"),
        ({"provider": "google"}, "provider"),
        ({"provider": "acme", "code_challenge": CHALLENGE}, "code_challenge_method"),
        ({"provider": "acme", "code_challenge": "x", "code_challenge_method": "s256"}, "code_challenge"),
        ({"provider": "acme", "code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "code_challenge_method"),
        ({"provider": "acme", "scopes": 'a"b'}, "scopes"),
        ({"provider": "acme", "scopes": "x" * 1025}, "scopes"),
        ({"provider": "acme", "login_hint": "x" * 513}, "query"),
        ({"provider": "acme", **{f"a{n}": "x" for n in range(11)}}, "query"),
    ],
)
async def test_a_departure_that_does_not_fit(refused: Refused, asked: dict[str, str], field: str) -> None:
    assert field in await refused(400, "validation_failed", "GET", "/authorize", params=asked)


async def test_a_return_that_is_too_long(refused: Refused) -> None:
    assert "state" in await refused(400, "validation_failed", "GET", "/callback", params={"state": "x" * 4097})


async def test_apple_posts_and_tells_the_name_once(web: Web, standin: Any) -> None:
    """The name comes through the browser: nothing else of it is believed."""
    standin.person = {"sub": "a.1", "email": "ann@example.org", "email_verified": "true"}
    user = '{"name": {"firstName": "Ann", "lastName": "Lee"}, "email": "evil@example.org"}'
    said = standin.visit(await away(web))
    async with web() as client:
        answer = await client.post("/callback", data={**said, "user": user})
    assert answer.status_code == 302
    async with web(fragment(answer.headers["location"])["access_token"]) as client:
        known = (await client.get("/user")).json()
    assert (known["email"], known["user_metadata"]["name"]) == ("ann@example.org", "Ann Lee")
    again = fragment(await back(web, standin.visit(await away(web))))
    async with web(again["access_token"]) as client:
        assert (await client.get("/user")).json()["identities"][0]["identity_data"]["name"] == "Ann Lee"


async def test_a_banned_account_is_not_let_in(web: Web, standin: Any, tables: Any, clock: FakeClock) -> None:
    await back(web, standin.visit(await away(web)))
    await tables.write(update(UserRow).values(banned_until=clock.now().replace(year=2099)))
    failed = query(await back(web, standin.visit(await away(web, **PKCE))))
    assert (failed["error"], failed["error_code"]) == ("access_denied", "user_banned")


@pytest.mark.parametrize("extra", [{"disable_signup": True}])
async def test_nobody_new_where_sign_ups_are_off(web: Web, standin: Any, tables: Any) -> None:
    failed = query(await back(web, standin.visit(await away(web, **PKCE))))
    assert failed["error_code"] == "signup_disabled"
    assert await tables.read("SELECT id FROM auth_users") == []


class TestLinkingByAddress:
    """Statement 16: red if `Linking._by_address` leaves one of its three conditions out."""

    @pytest.fixture(autouse=True)
    async def ann(self, signed_up: Grant) -> Grant:
        """An account with this address is there."""
        return signed_up

    async def test_statement_16_verified_by_both_sides(self, web: Web, standin: Any, tables: Any) -> None:
        given = fragment(await back(web, standin.visit(await away(web))))
        async with web(given["access_token"]) as client:
            user = (await client.get("/user")).json()
        assert user["app_metadata"] == {"provider": "email", "providers": ["email", "acme"]}
        assert len(user["identities"]) == 2
        assert user["user_metadata"] == {"name": "Ann"}
        assert "auth.identity_linked" in await tables.told()

    async def test_statement_16_not_verified_there(self, web: Web, standin: Any, tables: Any) -> None:
        standin.person["email_verified"] = False
        failed = query(await back(web, standin.visit(await away(web, **PKCE))))
        assert failed["error_code"] == "email_exists"
        assert len(await tables.read("SELECT id FROM auth_identities")) == 1

    async def test_statement_16_not_verified_here(self, web: Web, standin: Any, tables: Any) -> None:
        await tables.write(update(UserRow).values(email_confirmed_at=None))
        failed = query(await back(web, standin.visit(await away(web, **PKCE))))
        assert failed["error_code"] == "email_exists"
        assert len(await tables.read("SELECT id FROM auth_identities")) == 1

    async def test_an_unknown_address_that_is_not_verified(self, web: Web, standin: Any, tables: Any) -> None:
        standin.person |= {"email": "ben@example.org", "email_verified": False}
        failed = query(await back(web, standin.visit(await away(web, **PKCE))))
        assert failed["error_code"] == "provider_email_needs_verification"
        assert len(await tables.read("SELECT id FROM auth_users")) == 1

    async def test_no_address_at_all(self, web: Web, standin: Any, tables: Any) -> None:
        standin.person = {"sub": "9"}
        assert "access_token" in fragment(await back(web, standin.visit(await away(web))))
        assert len(await tables.read("SELECT id FROM auth_users WHERE email IS NULL")) == 1


async def test_two_at_once_are_one_account(web: Web, standin: Any, tables: Any) -> None:
    said = [standin.visit(await away(web)) for _ in range(4)]
    landed = await asyncio.gather(*(back(web, one) for one in said))
    assert all("access_token" in fragment(one) for one in landed)
    assert len(await tables.read("SELECT id FROM auth_users")) == 1
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 4


@pytest.fixture
async def narrow(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any]
) -> AsyncGenerator[Corekit]:
    """Start a kit that has one connection."""
    one = msgspec.structs.replace(database, pool=1)
    tables = {"auth": settings, "jobs": {"worker": False}}
    async with make_kit([AuthPlugin()], database=one, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        yield kit


async def test_a_slow_provider_holds_no_connection(narrow: Corekit, standin: Any) -> None:
    """Red if `exchange` runs inside a context: the sign-up would wait for the provider."""
    service, caller = narrow.get(AuthService), narrow.caller()
    said = standin.visit(await service.social.start(caller, Wish(provider="acme")))
    standin.gate.clear()
    returning = asyncio.create_task(service.social.callback(caller, Back(**said)))
    async with asyncio.timeout(4):
        while "token" not in standin.asked:
            await asyncio.sleep(0.01)
        await service.grant_by_sign_up(caller, "ben@example.org", "correct horse battery", {})
    assert not returning.done()
    standin.gate.set()
    assert "access_token" in fragment(await returning)


@pytest.mark.parametrize("verb", ["start", "start_link", "callback", "by_id_token"])
async def test_verbs_that_reach_the_network_refuse_an_open_context(
    service: AuthService, caller: Caller, verb: str
) -> None:
    async with caller.system(SIGN_IN).begin() as ctx:
        await service.find(ctx, email="x@example.org")
        with pytest.raises(InsideContext):
            await getattr(service.social, verb)(caller, Wish(provider="acme"))


async def test_no_secret_of_a_flow_lies_in_clear(web: Web, standin: Any, tables: Any) -> None:
    """Red if the payload is written into an open column."""
    address = await away(web, **PKCE)
    landed = await back(web, standin.visit(address))
    rows = str(await tables.read("SELECT * FROM auth_flow_states"))
    secrets = [query(address)["state"], query(address)["nonce"], query(landed)["code"], "theirs"]
    assert [secret for secret in secrets if secret in rows] == []


async def test_settings_say_what_is_on(web: Web) -> None:
    async with web() as client:
        external = (await client.get("/settings")).json()["external"]
    assert (external["acme"], external["google"], external["email"]) == (True, False, True)
