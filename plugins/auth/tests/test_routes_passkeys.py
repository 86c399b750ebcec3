"""The routes of passkeys: what is off, who may, what is malformed, and looking after one's own."""

import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, update

from corekit import Corekit
from corekit.errors import ConfigError
from corekit.testing import FakeClock
from corekit_auth import AuthSettings
from corekit_auth.models import FactorRow, SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.origins import app_origin, origins
from corekit_auth.relying_party import NotProven, RelyingParty
from corekit_auth.service import AuthService

sys.path.insert(0, str(Path(__file__).parent))

from authenticator import Authenticator, b64  # beside this file

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
REGISTER, SIGN_IN = "/passkeys/registration", "/passkeys/authentication"
OFF = [
    ("POST", f"{REGISTER}/options"),
    ("POST", f"{REGISTER}/verify"),
    ("POST", f"{SIGN_IN}/options"),
    ("POST", f"{SIGN_IN}/verify"),
    ("GET", "/passkeys"),
    ("PATCH", f"/passkeys/{UUID(int=1)}"),
    ("DELETE", f"/passkeys/{UUID(int=1)}"),
]
OWN = [one for one in OFF if SIGN_IN not in one[1]]
PRINT = ":".join(["AB"] * 32)


@pytest.fixture
def settings() -> dict[str, Any]:
    """Switch passkeys on."""
    return {"passkeys": True, "passkey_rate": {"count": 300, "period": 300, "burst": 300}}


async def registered(web: Web, grant: Grant, device: Authenticator) -> dict[str, Any]:
    """Register a passkey."""
    async with web(grant.session.access_token) as client:
        asked = (await client.post(f"{REGISTER}/options")).json()
        body = {"challenge_id": asked["challenge_id"], "credential": device.create(asked["options"])}
        answer = await client.post(f"{REGISTER}/verify", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def body(path: str, **other: Any) -> dict[str, Any]:
    """Write a body that has the right form."""
    text = b64(b"{}")
    response = {"clientDataJSON": text, "attestationObject": text, "authenticatorData": text, "signature": text}
    credential = {"id": "AA", "rawId": "AA", "type": "public-key", "response": response}
    whole = {"challenge_id": str(uuid4()), "credential": credential, "friendly_name": "phone", **other}
    return {"json": whole} if path.endswith("verify") or not path.startswith((REGISTER, SIGN_IN)) else {}


@pytest.mark.parametrize("settings", [{}], ids=["off"])
async def test_where_they_are_off(refused: Refused, web: Web, signed_up: Grant) -> None:
    """Whoever asks, and whatever they send."""
    for method, path in OFF:
        await refused(404, "passkey_disabled", method, path)
        await refused(404, "passkey_disabled", method, path, signed_up.session.access_token)
    async with web() as client:
        assert (await client.get("/settings")).json()["passkeys_enabled"] is False


async def test_where_they_are_on(web: Web) -> None:
    async with web() as client:
        assert (await client.get("/settings")).json()["passkeys_enabled"] is True
        for method, path in (("GET", f"{SIGN_IN}/options"), ("POST", "/passkeys"), ("PUT", f"/passkeys/{uuid4()}")):
            assert (await client.request(method, path)).status_code == 405


@pytest.mark.parametrize(("method", "path"), OWN)
async def test_whoever_has_no_live_session(
    refused: Refused, signed_up: Grant, service: AuthService, kit: Corekit, method: str, path: str
) -> None:
    sent = body(path) if method != "GET" else {}
    await refused(401, "no_authorization", method, path, **sent)
    await refused(403, "bad_jwt", method, path, "anon", **sent)
    async with kit.caller().system("auth.sign-in").begin() as ctx:
        await service.end_sessions(ctx, signed_up.session.user.id)
    await refused(403, "session_not_found", method, path, signed_up.session.access_token, **sent)


@pytest.mark.parametrize("path", [f"{REGISTER}/verify", f"{SIGN_IN}/verify"])
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"challenge_id": "x"}, "challenge_id"),
        ({"challenge_id": None}, "challenge_id"),
        ({"credential": None}, "credential"),
        ({"credential": {}}, "credential"),
        ({"credential": {"id": "AA", "rawId": "AA", "type": "password", "response": {}}}, "credential"),
        ({"credential": {"id": "A" * 1365, "rawId": "AA", "type": "public-key", "response": {}}}, "credential"),
        ({"credential": {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}}, "credential"),
    ],
)
async def test_a_body_that_does_not_fit(
    refused: Refused, signed_up: Grant, path: str, wrong: dict[str, Any], named: str
) -> None:
    said = await refused(400, "validation_failed", "POST", path, signed_up.session.access_token, **body(path, **wrong))
    assert named in said


async def test_anonymous_people_have_none(refused: Refused, signed_up: Grant, tables: Any) -> None:
    await tables.write(update(UserRow).values(is_anonymous=True))
    for step in ("options", "verify"):
        path = f"{REGISTER}/{step}"
        await refused(403, "no_authorization", "POST", path, signed_up.session.access_token, **body(path))


async def test_statement_11_a_second_factor_comes_first(
    web: Web, refused: Refused, signed_up: Grant, tables: Any, clock: FakeClock
) -> None:
    """Red when `freshness.demand` is not asked: with the password alone nobody adds or removes a passkey."""
    token, device = signed_up.session.access_token, Authenticator()
    made = await registered(web, signed_up, device)
    times = {"created_at": clock.now(), "updated_at": clock.now()}
    factor = {"id": uuid4(), "user_id": signed_up.session.user.id, "type": "totp", "status": "verified", "failures": 0}
    await tables.write(insert(FactorRow).values(**factor, **times))
    for method, path in (
        ("POST", f"{REGISTER}/options"),
        ("POST", f"{REGISTER}/verify"),
        ("DELETE", f"/passkeys/{made['id']}"),
    ):
        sent = body(path) if method == "POST" else {}
        await refused(403, "insufficient_aal", method, path, token, **sent)
    await tables.write(update(SessionRow).values(aal=2))
    async with web(token) as client:
        assert (await client.delete(f"/passkeys/{made['id']}")).status_code == 204


async def test_statement_11_an_old_sign_in_must_be_renewed(
    web: Web, refused: Refused, signed_up: Grant, service: AuthService, kit: Corekit, clock: FakeClock
) -> None:
    """Red when `freshness.demand` is not asked. Looking and renaming need no fresh sign-in."""
    device = Authenticator()
    made = await registered(web, signed_up, device)
    clock.move(901)
    grant = await service.grant_by_refresh(kit.caller(), signed_up.session.refresh_token)
    token = grant.session.access_token
    for method, path in (
        ("POST", f"{REGISTER}/options"),
        ("POST", f"{REGISTER}/verify"),
        ("DELETE", f"/passkeys/{made['id']}"),
    ):
        sent = body(path) if method == "POST" else {}
        await refused(403, "reauthentication_needed", method, path, token, **sent)
    async with web(token) as client:
        assert (await client.get("/passkeys")).status_code == 200
        assert (await client.patch(f"/passkeys/{made['id']}", json={"friendly_name": "Phone"})).status_code == 200


async def test_looking_after_ones_own(
    web: Web, refused: Refused, signed_up: Grant, service: AuthService, kit: Corekit, tables: Any
) -> None:
    phone, laptop = Authenticator(), Authenticator()
    first, second = await registered(web, signed_up, phone), await registered(web, signed_up, laptop)
    token = signed_up.session.access_token
    bob = await service.grant_by_sign_up(kit.caller(), "bob@example.org", "correct horse battery", {})
    async with web(token) as client:
        named = await client.patch(f"/passkeys/{first['id']}", json={"friendly_name": "  Ann's phone "})
        assert (named.status_code, named.json()) == (200, {**first, "friendly_name": "Ann's phone"})
        asked = (await client.post(f"{SIGN_IN}/options")).json()
        answer = {"challenge_id": asked["challenge_id"], "credential": phone.get(asked["options"])}
        assert (await client.post(f"{SIGN_IN}/verify", json=answer)).status_code == 200
        listed = (await client.get("/passkeys")).json()
        assert [set(one) for one in listed] == [
            {"id", "friendly_name", "created_at", "last_used_at"},
            {"id", "created_at"},
        ]
    path = f"/passkeys/{first['id']}"
    for name in ("", " ", "x" * 121, "a\nb"):
        await refused(400, "validation_failed", "PATCH", path, token, json={"friendly_name": name})
    theirs = bob.session.access_token
    await refused(404, "validation_failed", "PATCH", path, theirs, json={"friendly_name": "mine"})
    await refused(404, "validation_failed", "DELETE", path, theirs)
    await refused(404, "validation_failed", "DELETE", "/passkeys/x", token)
    async with web(theirs) as client:
        assert (await client.get("/passkeys")).json() == []
    async with web(token) as client:
        gone = await client.delete(path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert [one["id"] for one in (await client.get("/passkeys")).json()] == [second["id"]]
        asked = (await client.post(f"{SIGN_IN}/options")).json()
        answer = {"challenge_id": asked["challenge_id"], "credential": phone.get(asked["options"])}
        assert (await client.post(f"{SIGN_IN}/verify", json=answer)).json()[
            "error_code"
        ] == "webauthn_verification_failed"
    assert (await tables.told()).count("auth.passkey_removed") == 1


def test_whatever_an_authenticator_sends_is_refused_in_one_way() -> None:
    """A thousand answers with bytes changed: none is a fault, none is taken."""
    device, party = Authenticator(), RelyingParty(AuthSettings(passkeys=True), "dev")
    challenge, chance = bytes(32), random.Random(11)  # noqa: S311  # a seed that repeats
    options = party.creation(challenge, uuid4(), "ann", [])
    good = device.create(options)
    made = party.registered(good, challenge)
    signed = device.get(party.request(challenge))
    assert party.asserted(signed, challenge, made.public_key).sign_count == 1
    for _ in range(1000):
        for whole, names in (
            (good, ("clientDataJSON", "attestationObject")),
            (signed, ("authenticatorData", "signature")),
        ):
            name = chance.choice(names)
            broken = _broken(whole["response"][name], chance)
            if broken == whole["response"][name]:
                continue
            credential = {**whole, "response": {**whole["response"], name: broken}}
            try:
                if whole is good:
                    party.registered(credential, challenge)
                else:
                    party.asserted(credential, challenge, made.public_key)
            except NotProven:
                continue
            assert whole is good, "a changed signature was taken"  # nothing attests a new key, so it may be another


def _broken(text: str, chance: random.Random) -> str:
    from authenticator import raw  # noqa: PLC0415

    data = bytearray(raw(text))
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return b64(bytes(data[: chance.randint(1, len(data))]) if chance.random() < 0.3 else bytes(data))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rp_origins": ["https://app.example.org/"]}, "rp_origins"),
        ({"rp_origins": ["app.example.org"]}, "rp_origins"),
        ({"rp_origins": ["https://*.example.org/x"]}, "rp_origins"),
        ({"rp_origins": ["https://app.example.org:443"]}, "rp_origins"),
        ({"rp_origins": ["android:apk-key-hash:short"]}, "rp_origins"),
        ({"android_apps": {"app": [PRINT]}}, "android_apps"),
        ({"android_apps": {"org.example.app": ["AB:CD"]}}, "android_apps"),
        ({"apple_apps": ["org.example.app"]}, "apple_apps"),
        ({"rp_id": "127.0.0.1"}, "rp_id"),
        ({"passkeys": True, "passkey_user_verification": "preferred"}, "passkey_aal"),
    ],
)
def test_settings_that_cannot_work_say_so(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AuthSettings(**values).check("dev")


def test_the_origins_of_pages_and_apps() -> None:
    """An app's origin follows from its certificate; no pattern and no empty text is ever one."""
    made = AuthSettings(
        site_url="https://Example.org:443/home",
        external_url="https://api.example.org/",
        rp_origins=["https://app.example.org:8443"],
        android_apps={"org.example.app": [PRINT]},
    )
    made.check("dev")
    app = app_origin(PRINT)
    assert app == "android:apk-key-hash:" + b64(b"\xab" * 32)
    pages = ("https://app.example.org:8443", "https://example.org", "https://api.example.org")
    assert origins(made) == (*pages, app)
    assert origins(AuthSettings(site_url="", external_url="nowhere")) == ()


@pytest.mark.parametrize(
    "settings",
    [{"android_apps": {"org.example.app": [PRINT.lower()]}, "apple_apps": ["ABCDE12345.org.example.app"]}, {}],
    ids=["set", "left out"],
)
async def test_what_phones_read_at_the_root(web: Web, settings: dict[str, Any]) -> None:
    async with web() as client:
        client.base_url = httpx.URL("http://test")
        android = await client.get("/.well-known/assetlinks.json")
        apple = await client.get("/.well-known/apple-app-site-association")
    if not settings:
        assert (android.status_code, apple.status_code) == (404, 404)
        assert android.headers["content-type"] == "application/problem+json"
        return
    assert android.headers["content-type"] == apple.headers["content-type"] == "application/json"
    target = {"namespace": "android_app", "package_name": "org.example.app", "sha256_cert_fingerprints": [PRINT]}
    assert [one["target"] for one in android.json()] == [target]
    assert "delegate_permission/common.get_login_creds" in android.json()[0]["relation"]
    assert apple.json() == {"webcredentials": {"apps": ["ABCDE12345.org.example.app"]}}
