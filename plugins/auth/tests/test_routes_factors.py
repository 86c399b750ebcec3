"""The routes of second factors and recovery codes: bodies, refusals in both forms, who may come in."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import update

from corekit.testing import FakeClock
from corekit_auth.models import ChallengeRow, FactorRow, UserRow
from corekit_auth.objects import Grant

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
ANN = "ann@example.org"
PASSWORD = "correct horse battery"
SIGN_IN = "/token?grant_type=password"
REFRESH = "/token?grant_type=refresh_token"
NOBODY = "00000000-0000-7000-8000-000000000000"
ENROLL = {"factor_type": "totp", "friendly_name": "phone", "issuer": "App"}
SESSION = {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
ROUTES = [
    ("POST", "/factors", ENROLL),
    ("POST", f"/factors/{NOBODY}/challenge", {}),
    ("POST", f"/factors/{NOBODY}/verify", {"challenge_id": NOBODY, "code": "000000"}),
    ("DELETE", f"/factors/{NOBODY}", None),
    ("POST", "/x/recovery-codes", None),
    ("POST", "/x/recovery-codes/verify", {"code": "x"}),
]


@pytest.fixture
def token(signed_up: Grant) -> str:
    """Give the access token of who has just signed up."""
    return signed_up.session.access_token


async def passed(client: httpx.AsyncClient, clock: FakeClock) -> tuple[dict[str, Any], dict[str, Any]]:
    """Enrol and pass a factor; return what both answered, the client going on at aal2."""
    enrolled = (await client.post("/factors", json=ENROLL)).json()
    path = f"/factors/{enrolled['id']}"
    challenge = (await client.post(f"{path}/challenge")).json()
    code = pyotp.TOTP(enrolled["totp"]["secret"]).at(clock.now())
    answer = await client.post(f"{path}/verify", json={"challenge_id": challenge["id"], "code": code, "extra": 1})
    assert answer.status_code == 200, answer.text
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return enrolled, answer.json()


async def test_golden_bodies(web: Web, token: str, clock: FakeClock) -> None:
    async with web(token) as client:
        answer = await client.post("/factors", json=ENROLL)
        assert answer.headers["Cache-Control"] == "no-store"
        enrolled = answer.json()
        assert set(enrolled) == {"id", "type", "friendly_name", "totp"}
        assert (enrolled["type"], enrolled["friendly_name"]) == ("totp", "phone")
        assert set(enrolled["totp"]) == {"qr_code", "secret", "uri"}
        assert enrolled["totp"]["uri"].startswith("otpauth://totp/App:ann%40example.org?secret=")
        path = f"/factors/{enrolled['id']}"
        challenge = (await client.post(f"{path}/challenge", json={"channel": None, "factorId": "x"})).json()
        assert challenge == {
            "id": challenge["id"],
            "type": "totp",
            "expires_at": int(clock.now().timestamp()) + 300,
        }
        code = pyotp.TOTP(enrolled["totp"]["secret"]).at(clock.now())
        verified = await client.post(f"{path}/verify", json={"challenge_id": challenge["id"], "code": code})
        assert verified.status_code == 200
        assert set(verified.json()) == SESSION
        assert verified.headers["sb-auth-refresh-token-counter"] == "2"
        assert verified.headers["Cache-Control"] == "no-store"
        (factor,) = verified.json()["user"]["factors"]
        moment = factor["created_at"]
        assert factor == {
            "id": enrolled["id"],
            "status": "verified",
            "friendly_name": "phone",
            "factor_type": "totp",
            "phone": None,
            "last_challenged_at": moment,
            "created_at": moment,
            "updated_at": moment,
        }
        client.headers["Authorization"] = f"Bearer {verified.json()['access_token']}"
        assert (await client.get("/user")).json()["factors"] == [factor]
        codes = await client.post("/x/recovery-codes")
        assert set(codes.json()) == {"codes"}
        assert codes.headers["Cache-Control"] == "no-store"
        recovered = await client.post("/x/recovery-codes/verify", json={"code": codes.json()["codes"][3]})
        assert (recovered.status_code, set(recovered.json())) == (200, SESSION)
        removed = await client.delete(path)
        assert (removed.status_code, removed.json()) == (200, {"id": enrolled["id"]})
        assert "factors" not in (await client.get("/user")).json()


async def test_every_sign_in_names_the_factors(web: Web, token: str, clock: FakeClock) -> None:
    """The clients ask the session's user for them, to tell whether aal2 is next."""
    async with web(token) as client:
        enrolled, _ = await passed(client, clock)
        signed_in = (await client.post(SIGN_IN, json={"email": ANN, "password": PASSWORD})).json()
        refreshed = (await client.post(REFRESH, json={"refresh_token": signed_in["refresh_token"]})).json()
    for session in (signed_in, refreshed):
        assert [factor["id"] for factor in session["user"]["factors"]] == [enrolled["id"]]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_whoever_has_not_signed_in(refused: Refused, method: str, path: str, body: Any) -> None:
    await refused(401, "no_authorization", method, path, json=body)
    await refused(403, "bad_jwt", method, path, "anon", json=body)


async def test_refusals_of_enrolment(refused: Refused, web: Web, token: str, tables: Any, clock: FakeClock) -> None:
    async with web(token) as client:
        assert (await client.post("/factors", json=ENROLL)).status_code == 200
    said = await refused(422, "mfa_factor_name_conflict", "POST", "/factors", token, json=ENROLL)
    assert ENROLL["friendly_name"] not in said  # what people write comes back in no refusal
    for kind, status, code in (
        ("phone", 422, "mfa_phone_enroll_not_enabled"),
        ("webauthn", 422, "mfa_webauthn_enroll_not_enabled"),
        ("sms", 400, "validation_failed"),
    ):
        await refused(status, code, "POST", "/factors", token, json={"factor_type": kind})
    said = await refused(400, "validation_failed", "POST", "/factors", token, json={"friendly_name": "x"})
    assert "factor_type" in said
    clock.move(301)
    async with web(token) as client:
        for _ in range(10):
            assert (await client.post("/factors", json={"factor_type": "totp"})).status_code == 200
    await refused(422, "too_many_enrolled_mfa_factors", "POST", "/factors", token, json=ENROLL)
    clock.move(600)
    async with web() as client:
        body = {"email": ANN, "password": PASSWORD}
        fresh = (await client.post(SIGN_IN, json=body)).json()["access_token"]
        clock.move(890)
    await tables.write(update(UserRow).values(is_anonymous=True))
    await refused(403, "no_authorization", "POST", "/factors", fresh, json=ENROLL)


async def test_refusals_of_answers(refused: Refused, web: Web, token: str, tables: Any, clock: FakeClock) -> None:
    async with web(token) as client:
        enrolled = (await client.post("/factors", json=ENROLL)).json()
        path = f"/factors/{enrolled['id']}"
        challenge = (await client.post(f"{path}/challenge")).json()
    body = {"challenge_id": challenge["id"], "code": "000000"}
    await refused(422, "mfa_verification_failed", "POST", f"{path}/verify", token, json=body)
    await refused(422, "mfa_challenge_expired", "POST", f"{path}/verify", token, json={**body, "challenge_id": NOBODY})
    for wrong, field in (
        ({**body, "code": ""}, "code"),
        ({**body, "code": "1" * 65}, "code"),
        ({**body, "challenge_id": "x"}, "challenge_id"),
        ({"code": "000000"}, "challenge_id"),
    ):
        assert field in await refused(400, "validation_failed", "POST", f"{path}/verify", token, json=wrong)
    assert "factor_id" in await refused(400, "validation_failed", "POST", "/factors/x/challenge", token)
    assert "factor_id" in await refused(400, "validation_failed", "DELETE", "/factors/x", token)
    for method, missing, sent in ROUTES[1:4]:
        await refused(404, "mfa_factor_not_found", method, missing, token, json=sent)
    await tables.write(update(ChallengeRow).values(expires_at=clock.now()))
    await refused(422, "mfa_challenge_expired", "POST", f"{path}/verify", token, json=body)
    for kind, code in (("phone", "mfa_phone_verify_not_enabled"), ("webauthn", "mfa_webauthn_verify_not_enabled")):
        await tables.write(update(FactorRow).values(type=kind))
        await refused(422, code, "POST", f"{path}/challenge", token)
    await tables.write(update(FactorRow).values(type="totp", disabled_at=clock.now()))
    said = await refused(422, "mfa_verification_failed", "POST", f"{path}/challenge", token)
    assert "recovery code" in said


async def test_refusals_of_weak_and_stale_sessions(refused: Refused, web: Web, token: str, clock: FakeClock) -> None:
    """Statement 11."""
    await refused(403, "insufficient_aal", "POST", "/x/recovery-codes", token)
    async with web(token) as client:
        enrolled, session = await passed(client, clock)
        weak = (await client.post(SIGN_IN, json={"email": ANN, "password": PASSWORD})).json()["access_token"]
    path = f"/factors/{enrolled['id']}"
    await refused(403, "insufficient_aal", "POST", "/factors", weak, json=ENROLL)
    await refused(422, "insufficient_aal", "DELETE", path, weak)
    await refused(422, "mfa_verification_failed", "POST", "/x/recovery-codes/verify", weak, json={"code": "x"})
    await refused(400, "validation_failed", "POST", "/x/recovery-codes/verify", weak, json={"code": " "})
    clock.move(899)
    async with web() as client:
        body = {"refresh_token": session["refresh_token"]}
        strong = (await client.post(REFRESH, json=body)).json()["access_token"]
    clock.move(2)
    await refused(403, "reauthentication_needed", "POST", "/factors", strong, json=ENROLL)
    await refused(403, "reauthentication_needed", "DELETE", path, strong)
    await refused(403, "reauthentication_needed", "POST", "/x/recovery-codes", strong)


@pytest.mark.parametrize("settings", [{"mfa_rate": {"count": 15, "period": 60, "burst": 3}}])
async def test_the_class_mfa_is_charged_to_the_address(web: Web, token: str, refused: Refused) -> None:
    async with web(token) as client:
        enrolled = (await client.post("/factors", json=ENROLL)).json()
        for _ in range(3):
            assert (await client.post(f"/factors/{enrolled['id']}/challenge")).status_code == 200
        over = await client.post(f"/factors/{enrolled['id']}/challenge")
    assert (over.status_code, over.json()["error_code"]) == (429, "over_request_rate_limit")
    assert int(over.headers["Retry-After"]) >= 1
    await refused(429, "over_request_rate_limit", "POST", "/x/recovery-codes/verify", token, json={"code": "x"})
    async with web(token, "198.51.100.7") as other:
        assert (await other.post(f"/factors/{enrolled['id']}/challenge")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/factors"),
        ("GET", f"/factors/{NOBODY}/challenge"),
        ("PUT", f"/factors/{NOBODY}/verify"),
        ("GET", f"/factors/{NOBODY}"),
        ("GET", "/x/recovery-codes"),
        ("DELETE", "/x/recovery-codes/verify"),
    ],
)
async def test_wrong_methods(refused: Refused, method: str, path: str) -> None:
    await refused(405, "unknown", method, path)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"[]", 400, "validation_failed"),
        (b'{"code": ' + b'"' + b"x" * (1 << 20) + b'"}', 413, "request_entity_too_large"),
    ],
    ids=["broken", "list", "large"],
)
async def test_bodies_that_are_none(web: Web, token: str, content: bytes, status: int, code: str) -> None:
    async with web(token) as client:
        for path in ("/factors", f"/factors/{NOBODY}/verify", "/x/recovery-codes/verify"):
            answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text


@pytest.mark.parametrize("settings", [{"totp": False}])
async def test_switched_off(refused: Refused, token: str) -> None:
    await refused(422, "mfa_totp_enroll_not_enabled", "POST", "/factors", token, json=ENROLL)
