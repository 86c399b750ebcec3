"""The protocol over HTTP: golden bodies, and every refusal in both forms."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import update

from corekit.testing import FakeClock
from corekit_auth.errors import AuthProblem, Code
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


async def test_health(web: Web) -> None:
    async with web() as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "name", "description"}


async def test_settings(web: Web) -> None:
    async with web() as client:
        body = (await client.get("/settings")).json()
    external = body.pop("external")
    assert [name for name, on in external.items() if on] == ["email"]
    assert {"phone", "google", "apple", "github", "anonymous_users"} <= set(external)
    assert body == {
        "disable_signup": False,
        "mailer_autoconfirm": True,
        "phone_autoconfirm": False,
        "sms_provider": "",
        "saml_enabled": False,
        "saml_private_key_next_configured": False,
        "passkeys_enabled": False,
    }


async def test_keys_and_metadata_can_be_cached(web: Web, service: AuthService) -> None:
    async with web() as client:
        keys = await client.get("/.well-known/jwks.json")
        about = await client.get("/.well-known/openid-configuration")
    assert keys.json() == service.keys.jwks
    for answer in (keys, about):
        assert set(answer.headers["Cache-Control"].split(", ")) == {"public", "max-age=600"}
    assert "d" not in keys.json()["keys"][0]
    assert about.json()["issuer"] == "http://localhost:8000/auth/v1"
    assert about.json()["jwks_uri"] == "http://localhost:8000/auth/v1/.well-known/jwks.json"
    assert about.json()["id_token_signing_alg_values_supported"] == ["ES256"]


async def test_a_sign_up_answers_a_session(web: Web, clock: FakeClock) -> None:
    async with web() as client:
        sent = {**NEW, "data": {"name": "Bob"}, "gotrue_meta_security": {}, "code_challenge": None, "unknown": 1}
        answer = await client.post("/signup", json=sent, params={"redirect_to": "https://x.example"})
    assert answer.status_code == 200
    session, now = answer.json(), clock.now()
    user, noon = session.pop("user"), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = user["identities"][0]
    assert UUID(identity.pop("identity_id")).version == 7
    user_id = user.pop("id")
    assert user == {
        "aud": "authenticated",
        "role": "authenticated",
        "email": "bob@example.org",
        "phone": "",
        "email_confirmed_at": noon,
        "confirmed_at": noon,
        "last_sign_in_at": noon,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"name": "Bob"},
        "identities": [identity],
        "created_at": noon,
        "updated_at": noon,
        "is_anonymous": False,
    }
    assert identity == {
        "id": user_id,
        "user_id": user_id,
        "identity_data": {"sub": user_id, "email": "bob@example.org", "email_verified": True, "phone_verified": False},
        "provider": "email",
        "last_sign_in_at": noon,
        "created_at": noon,
        "updated_at": noon,
        "email": "bob@example.org",
    }
    assert (session["token_type"], session["expires_in"]) == ("bearer", 900)
    assert session["expires_at"] == int(now.timestamp()) + 900
    assert set(session) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token"}
    assert answer.headers["sb-auth-user-id"] == user_id
    assert answer.headers["sb-auth-refresh-token-counter"] == "0"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_token_is_verified_with_the_published_keys(web: Web) -> None:
    """What `getClaims()` does, with no call to this server but for the keys."""
    async with web() as client:
        token = (await client.post("/signup", json=NEW)).json()["access_token"]
        keys = KeySet.import_key_set((await client.get("/.well-known/jwks.json")).json())
    assert jwt.decode(token, keys, algorithms=["ES256"]).claims["email"] == "bob@example.org"


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({}, 422, "anonymous_provider_disabled", "Anonymous"),
        ({"password": PASSWORD, "email": ""}, 422, "anonymous_provider_disabled", "Anonymous"),
        ({"phone": "491701234567", "password": PASSWORD}, 400, "phone_provider_disabled", "Phone"),
        ({**NEW, "phone": "491701234567"}, 400, "validation_failed", "email, phone"),
        ({"email": "bob@example.org"}, 400, "validation_failed", "password"),
        ({**NEW, "email": "bob"}, 400, "validation_failed", "email"),
        ({**NEW, "email": 7}, 400, "validation_failed", "email"),
        ({**NEW, "data": []}, 400, "validation_failed", "data"),
        ({**NEW, "data": {"a": "x" * 5000}}, 422, "validation_failed", "data"),
        ({**NEW, "data": {"a": "\x00"}}, 400, "validation_failed", "data"),
        ({**NEW, "password": "x" * 257}, 400, "validation_failed", "password"),
        ({**NEW, "code_challenge": "x" * 43}, 400, "validation_failed", "code_challenge_method"),
        ({**NEW, "code_challenge": "x", "code_challenge_method": "s256"}, 400, "validation_failed", "43 to 128"),
        ({**NEW, "code_challenge": "x" * 43, "code_challenge_method": "plain"}, 400, "validation_failed", "s256"),
        ({**NEW, "email": ANN}, 422, "user_already_exists", "already registered"),
        ({**NEW, "password": "password1"}, 422, "weak_password", "most used"),
    ],
)
@pytest.mark.usefixtures("signed_up")
async def test_a_refused_sign_up(refused: Refused, body: dict[str, Any], status: int, code: str, says: str) -> None:
    assert says in await refused(status, code, "POST", "/signup", json=body)


async def test_a_weak_password_says_why_in_both_forms(web: Web) -> None:
    for version in ("", "2024-01-01"):
        async with web(version=version) as client:
            answer = await client.post("/signup", json={**NEW, "password": "bob"})
        assert answer.json()["weak_password"] == {"reasons": ["length", "context"]}


@pytest.mark.parametrize("settings", [{"disable_signup": True}])
async def test_a_closed_door_is_shown_as_such(web: Web, refused: Refused) -> None:
    await refused(422, "signup_disabled", "POST", "/signup", json=NEW)
    async with web() as client:
        assert (await client.get("/settings")).json()["disable_signup"] is True


@pytest.mark.usefixtures("signed_up")
async def test_a_sign_in_answers_a_session_and_ignores_the_anonymous_key(web: Web) -> None:
    async with web("anon-key") as client:
        answer = await client.post(SIGN_IN, json={"email": ANN, "password": PASSWORD}, headers={"apikey": "anon-key"})
    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == ANN


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": ANN, "password": "wrong horse battery"}, 400, "invalid_credentials"),
        ({"email": "nobody@example.org", "password": PASSWORD}, 400, "invalid_credentials"),
        ({"email": ANN}, 400, "invalid_credentials"),
        ({"email": "ann", "password": PASSWORD}, 400, "validation_failed"),
        ({"password": PASSWORD}, 400, "validation_failed"),
        ({"email": ANN, "phone": "491701234567", "password": PASSWORD}, 400, "validation_failed"),
        ({"phone": "491701234567", "password": PASSWORD}, 400, "phone_provider_disabled"),
    ],
)
@pytest.mark.usefixtures("signed_up")
async def test_a_refused_sign_in(refused: Refused, body: dict[str, Any], status: int, code: str) -> None:
    await refused(status, code, "POST", SIGN_IN, json=body)


@pytest.mark.usefixtures("signed_up")
async def test_unknown_and_wrong_are_the_same_answer(web: Web) -> None:
    """Statement 4, byte for byte but for the request's id."""
    answers = []
    async with web() as client:
        for email in (ANN, "nobody@example.org"):
            answer = await client.post(SIGN_IN, json={"email": email, "password": "wrong horse battery"})
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            answers.append((answer.status_code, answer.content, headers))
    assert answers[0] == answers[1]


async def test_banned_and_unconfirmed_are_told_after_the_right_password(
    refused: Refused, signed_up: Grant, clock: FakeClock, tables: Any
) -> None:
    right = {"email": ANN, "password": PASSWORD}
    await tables.write(update(UserRow).values(email_confirmed_at=None))
    await refused(400, "email_not_confirmed", "POST", SIGN_IN, json=right)
    await tables.write(update(UserRow).values(banned_until=clock.now() + timedelta(days=1)))
    await refused(400, "user_banned", "POST", SIGN_IN, json=right)
    await refused(403, "user_banned", "GET", "/user", signed_up.session.access_token)
    refresh = {"refresh_token": signed_up.session.refresh_token}
    await refused(400, "user_banned", "POST", REFRESH, json=refresh)


async def test_a_refresh_says_in_headers_how_it_went(web: Web, signed_up: Grant) -> None:
    first = {"refresh_token": signed_up.session.refresh_token}
    async with web() as client:
        answers = [await client.post(REFRESH, json=first) for _ in range(2)]
        second = {"refresh_token": answers[0].json()["refresh_token"]}
        await client.post(REFRESH, json=second)
        answers.append(await client.post(REFRESH, json=first))
    names = ("counter", "rotated", "reuse", "reuse-cause")
    assert [tuple(answer.headers.get(f"sb-auth-refresh-token-{name}") for name in names) for answer in answers] == [
        ("1", "true", "false", None),
        ("1", "false", "true", "fail-to-save"),
        ("2", "false", "true", "concurrent-refresh"),
    ]
    assert answers[0].headers["sb-auth-session-id"] == str(signed_up.session_id)
    assert not any("prefix" in name for answer in answers for name in answer.headers)


async def test_refused_refreshes(web: Web, refused: Refused, signed_up: Grant, clock: FakeClock) -> None:
    token = signed_up.session.refresh_token
    async with web() as client:
        for body in ({}, {"refresh_token": ""}):
            answer = await client.post(REFRESH, json=body)
            assert answer.status_code == 400
            assert answer.json() == {"error": "invalid_request", "error_description": "refresh_token required"}
        for _ in range(2):
            token = (await client.post(REFRESH, json={"refresh_token": token})).json()["refresh_token"]
    message = await refused(400, "refresh_token_not_found", "POST", REFRESH, json={"refresh_token": "x"})
    assert message == "Invalid Refresh Token: Refresh Token Not Found"
    clock.move(11)
    async with web() as client:
        answer = await client.post(REFRESH, json={"refresh_token": signed_up.session.refresh_token})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "refresh_token_already_used")
    await refused(400, "refresh_token_not_found", "POST", REFRESH, json={"refresh_token": token})


async def test_an_expired_session_is_named(web: Web, signed_up: Grant, clock: FakeClock) -> None:
    clock.move(30 * 86_400)
    async with web() as client:
        answer = await client.post(REFRESH, json={"refresh_token": signed_up.session.refresh_token})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "session_expired")


@pytest.mark.parametrize(
    ("grant", "status", "code", "message"),
    [
        ("", 400, "invalid_credentials", "unsupported_grant_type"),
        ("client_credentials", 400, "invalid_credentials", "unsupported_grant_type"),
        ("pkce", 400, "validation_failed", "auth_code"),
        ("id_token", 400, "validation_failed", "id_token"),
        ("web3", 422, "web3_provider_disabled", "disabled"),
    ],
)
async def test_other_grants(refused: Refused, grant: str, status: int, code: str, message: str) -> None:
    assert message in await refused(status, code, "POST", f"/token?grant_type={grant}", json={})


@pytest.mark.parametrize("settings", [{"token_rate": {"count": 30, "period": 300, "burst": 2}}])
async def test_over_the_limit_says_when_to_come_again(web: Web, refused: Refused) -> None:
    wrong = {"email": ANN, "password": "wrong horse battery"}
    async with web() as client, web(address="198.51.100.7") as other:
        for _ in range(2):
            assert (await client.post(SIGN_IN, json=wrong)).status_code == 400
        answer = await client.post(SIGN_IN, json=wrong)
        assert (await other.post(SIGN_IN, json=wrong)).status_code == 400
        spoofed = await client.post(SIGN_IN, json=wrong, headers={"X-Forwarded-For": "198.51.100.8"})
    assert answer.status_code == spoofed.status_code == 429
    assert answer.headers["Retry-After"] == "10"
    assert answer.json()["msg"] == "Request rate limit reached"
    await refused(429, "over_request_rate_limit", "POST", SIGN_IN, json=wrong)


@pytest.mark.parametrize("settings", [{"hash_threads": 1, "hash_wait": -1}])
async def test_overload_keeps_the_client_signed_in(web: Web) -> None:
    """503: the clients try again."""
    async with web() as client:
        answer = await client.post(SIGN_IN, json={"email": ANN, "password": PASSWORD})
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert answer.json()["error_code"] == "unexpected_failure"


@pytest.mark.parametrize("settings", [{"request_timeout": 0}])
async def test_a_request_that_takes_too_long(web: Web) -> None:
    async with web() as client:
        answer = await client.post("/signup", json=NEW)
    assert (answer.status_code, answer.json()["error_code"]) == (504, "request_timeout")


def test_every_problem_has_a_code_of_the_protocol_and_a_name_of_its_own() -> None:
    problems = AuthProblem.__subclasses__()
    assert len({problem.slug for problem in problems}) == len(problems) > 25
    assert all(isinstance(problem.error, Code) and problem.error is not Code.UNKNOWN for problem in problems)
    assert all(problem.slug.startswith("auth-") for problem in problems)
