"""`token?grant_type=id_token`: every check of an id_token, against a strict server of keys."""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey

from corekit.testing import FakeClock
from corekit_auth.id_tokens import Expected, check_claims
from corekit_auth.objects import Grant

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
PATH = "/token?grant_type=id_token"
NONCE = "a nonce of the app"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database."""
    return sqlite_url


async def ask(web: Web, **body: Any) -> httpx.Response:
    async with web() as client:
        return await client.post(PATH, json={"provider": "acme", **body})


async def test_an_app_signs_in(web: Web, standin: Any, tables: Any) -> None:
    answer = await ask(web, id_token=standin.id_token(), gotrue_meta_security={"captcha_token": None})
    assert answer.status_code == 200, answer.text
    session = answer.json()
    assert set(session) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
    assert session["user"]["email"] == "ann@example.org"
    assert answer.headers["sb-auth-user-id"] == session["user"]["id"]
    again = await ask(web, id_token=standin.id_token())
    assert again.json()["user"]["id"] == session["user"]["id"]
    assert await tables.told() == [
        "auth.user_created",
        "auth.identity_linked",
        "auth.signed_in",
        "auth.signed_in",
    ]


@pytest.mark.parametrize("said", [NONCE, hashlib.sha256(NONCE.encode()).hexdigest()], ids=["plain", "hashed"])
async def test_the_nonce_is_plain_or_hashed(web: Web, standin: Any, said: str) -> None:
    assert (await ask(web, id_token=standin.id_token(nonce=said), nonce=NONCE)).status_code == 200


@pytest.mark.parametrize(("said", "sent"), [("x", NONCE), (None, NONCE), (NONCE, None), (NONCE, "")])
async def test_a_bad_nonce(refused: Refused, standin: Any, said: str | None, sent: str | None) -> None:
    body = {"provider": "acme", "id_token": standin.id_token(nonce=said), "nonce": sent}
    assert await refused(400, "validation_failed", "POST", PATH, json=body) == "Nonces mismatch"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "other"}, "unexpected_audience"),
        ({"aud": ["other"]}, "unexpected_audience"),
        ({"aud": ["app", "other"]}, "unexpected_audience"),
        ({"aud": ["app", "other"], "azp": "other"}, "unexpected_audience"),
        ({"aud": "app", "azp": "other"}, "unexpected_audience"),
        ({"aud": []}, "validation_failed"),
        ({"aud": None}, "validation_failed"),
        ({"iss": "https://evil.example.org"}, "validation_failed"),
        ({"iss": None}, "validation_failed"),
        ({"sub": None}, "validation_failed"),
        ({"sub": ""}, "validation_failed"),
        ({"sub": "x" * 256}, "validation_failed"),
        ({"exp": None}, "validation_failed"),
        ({"exp": "soon"}, "validation_failed"),
        ({"exp": float("inf")}, "validation_failed"),
        ({"exp": 1_893_499_140}, "validation_failed"),
        ({"iat": 1_893_499_261}, "validation_failed"),
        ({"nbf": 1_893_499_261}, "validation_failed"),
        ({"at_hash": "x"}, "validation_failed"),
    ],
)
async def test_claims_that_do_not_hold(refused: Refused, standin: Any, changes: dict[str, Any], code: str) -> None:
    """Now is 1,893,499,200; a minute either way is allowed."""
    body = {"provider": "acme", "id_token": standin.id_token(**changes), "access_token": "theirs"}
    await refused(400, code, "POST", PATH, json=body)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "phone-app"},
        {"aud": ["app", "other"], "azp": "phone-app"},
        {"exp": 1_893_499_141},
        {"iat": 1_893_499_260},
        {"at_hash": base64.urlsafe_b64encode(hashlib.sha256(b"theirs").digest()[:16]).decode().rstrip("=")},
    ],
)
async def test_claims_that_just_hold(web: Web, standin: Any, changes: dict[str, Any]) -> None:
    answer = await ask(web, id_token=standin.id_token(**changes), access_token="theirs")
    assert answer.status_code == 200, answer.text


def forged(standin: Any, how: str) -> str:
    head, body, signature = standin.id_token().split(".")
    if how == "alg none":
        head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').decode().rstrip("=")
        return f"{head}.{body}."
    if how == "another body":
        return f"{head}.{base64.urlsafe_b64encode(b'{}').decode()}.{signature}"
    words = {"no token": "x", "empty parts": "..", "five parts": "a.b.c.d.e", "long": "x" * 16_385}
    if how in words:
        return words[how]
    genuine = standin.keys[0]
    if how == "HS256 with the public key":  # by hand: the library refuses to sign so
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').decode().rstrip("=")
        made = hmac.digest(genuine.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
        return f"{head}.{body}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"
    own = RSAKey.generate_key(2048, {"kid": "mine"})
    key, header = {
        "an algorithm that is not listed": (RSAKey.import_key(genuine.as_dict(private=True) | {"alg": "PS256"}), {}),
        "another key": (RSAKey.generate_key(2048, {"kid": "one"}), {}),
        "a key of another kind": (ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"}), {}),
        "its own key": (own, {"jwk": own.as_dict(private=False)}),
    }[how]
    return str(standin.id_token(key=key, header=header))


@pytest.mark.parametrize(
    "how",
    [
        "alg none",
        "HS256 with the public key",
        "an algorithm that is not listed",
        "another key",
        "a key of another kind",
        "its own key",
        "another body",
        "no token",
        "empty parts",
        "five parts",
        "long",
    ],
)
async def test_a_forged_token(refused: Refused, standin: Any, how: str) -> None:
    await refused(400, "validation_failed", "POST", PATH, json={"provider": "acme", "id_token": forged(standin, how)})


async def test_keys_are_read_once_a_day_and_once_more_for_an_unknown_one(
    web: Web, standin: Any, clock: FakeClock
) -> None:
    """Red if an unknown kid is refused at once, or if each one costs the provider a request."""
    for _ in range(3):
        assert (await ask(web, id_token=standin.id_token())).status_code == 200
    assert standin.asked == ["configuration", "keys"]
    clock.move(11)
    standin.keys.append(ECKey.generate_key("P-256", {"kid": "two", "alg": "ES256", "use": "sig"}))
    assert (await ask(web, id_token=standin.id_token())).status_code == 200
    assert standin.asked == ["configuration", "keys", "keys"]
    unknown = RSAKey.generate_key(2048, {"kid": "three"})
    for _ in range(3):
        assert (await ask(web, id_token=standin.id_token(key=unknown))).status_code == 400
    assert standin.asked == ["configuration", "keys", "keys"]
    clock.move(11)
    for _ in range(3):
        assert (await ask(web, id_token=standin.id_token(key=unknown))).status_code == 400
    assert standin.asked == ["configuration", "keys", "keys", "keys"]
    clock.move(24 * 3600)
    assert (await ask(web, id_token=standin.id_token())).status_code == 200
    assert standin.asked[4:] == ["configuration", "keys"]


async def test_a_provider_is_found_by_client_and_issuer(web: Web, refused: Refused, standin: Any) -> None:
    token = standin.id_token()
    fitting = {"client_id": "phone-app", "issuer": standin.url, "id_token": token}
    async with web() as client:
        assert (await client.post(PATH, json=fitting)).status_code == 200
    await refused(400, "provider_disabled", "POST", PATH, json=fitting | {"client_id": "other"})
    await refused(400, "provider_disabled", "POST", PATH, json={"provider": "google", "id_token": token})
    await refused(400, "validation_failed", "POST", PATH, json={"id_token": token})
    await refused(400, "validation_failed", "POST", PATH, json={"provider": "acme"})
    named = {"provider": "acme", "id_token": token}
    await refused(400, "unexpected_audience", "POST", PATH, json=named | {"client_id": "other"})
    assert "issuer" in await refused(400, "validation_failed", "POST", PATH, json=named | {"issuer": "other"})


async def test_a_provider_that_does_not_answer(web: Web, standin: Any) -> None:
    token = standin.id_token()
    standin.keys.clear()
    answer = await ask(web, id_token=token)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "unexpected_failure")


async def test_an_address_that_is_taken_and_not_verified(refused: Refused, standin: Any, signed_up: Grant) -> None:
    body = {"provider": "acme", "id_token": standin.id_token(email_verified=False)}
    await refused(422, "email_exists", "POST", PATH, json=body)


def test_the_hash_of_the_access_token_is_that_of_the_signature() -> None:
    """OpenID Connect Core 1.0 §3.1.3.6."""
    made = base64.urlsafe_b64encode(hashlib.sha512(b"theirs").digest()[:32]).decode().rstrip("=")
    claims = {"iss": "i", "sub": "s", "aud": "a", "exp": 9, "iat": 9, "at_hash": made}
    expected = Expected(issuers=["i"], audiences=["a"], now=9, access_token="theirs", alg="ES512")
    check_claims(claims, expected)
    with pytest.raises(Exception, match="another access_token"):
        check_claims(claims, msgspec.structs.replace(expected, alg="RS256"))
