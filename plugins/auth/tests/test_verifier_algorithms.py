"""RS256 and HS256, and agreement with joserfc on tokens that a generator makes up."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from corekit_auth.verifier import InvalidToken, UnknownKey, Verifier
from corekit_auth.verifier.signatures import public_key, secret_key

ISSUER = "https://auth.example.org/auth/v1"
NOW = 1_900_000_000
EC, RSA = ECKey.generate_key("P-256", private=True), RSAKey.generate_key(2048, private=True)
SECRET = OctKey.generate_key(256)
KEYS: dict[str, Any] = {"ES256": EC, "RS256": RSA, "HS256": SECRET}
JWKS = {
    "keys": [
        {**EC.as_dict(private=False), "kid": "ES256", "alg": "ES256", "use": "sig"},
        {**RSA.as_dict(private=False), "kid": "RS256", "alg": "RS256", "use": "sig"},
    ]
}
ALL = KeySet([type(key).import_key({**key.as_dict(private=True), "kid": alg}) for alg, key in KEYS.items()])
CLAIMS = {
    "iss": ISSUER,
    "sub": str(uuid4()),
    "aud": "authenticated",
    "exp": NOW + 900,
    "iat": NOW,
    "role": "authenticated",
    "session_id": str(uuid4()),
}


def verifier() -> Verifier:
    return Verifier(JWKS, issuer=ISSUER, secrets={"HS256": SECRET.raw_value}, now=lambda: NOW + 1)


def sign(alg: str, **header: Any) -> str:
    return jwt.encode({"alg": alg, "kid": alg, "typ": "JWT", **header}, CLAIMS, KEYS[alg], algorithms=[alg])


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("alg", KEYS)
def test_each_algorithm_is_verified(alg: str) -> None:
    assert str(verifier().verify(sign(alg)).sub) == CLAIMS["sub"]


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("of", KEYS)
def test_the_key_says_which_algorithm(alg: str, of: str) -> None:
    """Red where `fits` leaves the algorithm to the token."""
    if alg == of:
        return
    with pytest.raises(InvalidToken, match="invalid"):
        verifier().verify(sign(alg, kid=of))


@pytest.mark.parametrize("public", ["pem", "der", "n"])
def test_a_public_key_is_no_secret(public: str) -> None:
    """The oldest attack: HS256 under the text of the public key of RS256."""
    texts = {
        "pem": RSA.as_pem(private=False),
        "der": RSA.as_der(private=False),
        "n": str(RSA.as_dict(private=False)["n"]).encode(),
    }
    signed = f"{part({'alg': 'HS256', 'kid': 'RS256', 'typ': 'JWT'})}.{part(CLAIMS)}"
    token = f"{signed}.{part(hmac.digest(texts[public], signed.encode(), 'sha256'))}"
    with pytest.raises(InvalidToken, match="invalid"):
        verifier().verify(token)


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("extra", ["jku", "x5u", "x5c", "jwk", "crit"])
def test_what_would_bring_a_key_along_is_refused_before_any_signature(
    alg: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {"alg": alg, "kid": alg, "typ": "JWT", extra: ["exp"]}
    token = f"{part(header)}.{part(CLAIMS)}.{part(bytes(64))}"

    def never(*_: object) -> bytes:
        raise AssertionError

    checks = verifier()
    monkeypatch.setattr("corekit_auth.verifier.local.canonical", never)
    for changed in (token, f"{part({**header, 'alg': 'none'})}.{part(CLAIMS)}.", _without_kid(alg)):
        with pytest.raises(InvalidToken):
            checks.verify(changed)


def _without_kid(alg: str) -> str:
    return f"{part({'alg': alg, 'typ': 'JWT'})}.{part(CLAIMS)}.{part(bytes(64))}"


def test_a_key_set_brings_no_secrets_and_no_other_kinds() -> None:
    """A published symmetric key would be everybody's."""
    jwks = {
        "keys": [
            {**SECRET.as_dict(private=True), "kid": "HS256", "alg": "HS256"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "EdDSA", "alg": "EdDSA"},
            {**EC.as_dict(private=False), "kid": "enc", "use": "enc"},
            EC.as_dict(private=False),
            {**EC.as_dict(private=False), "kid": "ES256"},
            {**RSA.as_dict(private=False), "kid": "RS256"},
        ]
    }
    checks = Verifier(jwks, issuer=ISSUER, now=lambda: NOW + 1)
    with pytest.raises(UnknownKey, match="invalid"):
        checks.verify(sign("HS256"))
    assert all(checks.verify(sign(alg)) for alg in ("ES256", "RS256"))  # `alg` is optional (RFC 7517 §4.4)


def test_keys_that_are_too_small_are_mistakes() -> None:
    small = {"kty": "RSA", "kid": "small", "n": part((1 << 1023 | 1).to_bytes(128)), "e": "AQAB"}
    for jwk in (small, {"kty": "RSA", "kid": "none", "alg": "RS256"}, {"kty": "EC", "kid": "x", "alg": "RS256"}):
        with pytest.raises(ValueError, match="key "):
            public_key(jwk)
    with pytest.raises(ValueError, match="at least 32"):
        secret_key(bytes(31))


def test_another_key_set_forgets_what_the_last_had_checked() -> None:
    checks, token = verifier(), sign("ES256")
    checks.verify(token)
    checks.replace({"keys": JWKS["keys"][1:]}, retired=["ES256"])
    with pytest.raises(UnknownKey, match="invalid"):
        checks.verify(token)


HEADERS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["ES256", "RS256", "HS256", "none", "ES384", "HS512"]), "typ": st.just("JWT")},
    optional={"kid": st.sampled_from(["ES256", "RS256", "HS256", "other", ""])},
)


def theirs(token: str) -> bool:
    """Ask joserfc: the key by kid, its one algorithm."""
    try:
        kid = msgspec.json.decode(urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))["kid"]
        jwt.decode(token, ALL.get_by_kid(kid), algorithms=[kid])
    except (JoseError, ValueError, KeyError, TypeError):
        return False
    return True


def ours(token: str) -> bool:
    try:
        verifier().decode(token)
    except InvalidToken:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(
    header=HEADERS,
    key=st.sampled_from(["ES256", "RS256", "HS256"]),
    garbled=st.integers(-1, 400),
    to=st.binary(min_size=1, max_size=1),
)
def test_joserfc_agrees(header: dict[str, str], key: str, garbled: int, to: bytes) -> None:
    """Any header, signed by any key in that key's own way, perhaps with one character of it changed."""
    good = jwt.encode({"alg": key, "kid": key, "typ": "JWT"}, CLAIMS, KEYS[key], algorithms=[key]).split(".")
    signed = f"{part(header)}.{good[1]}"
    if header.get("alg") == key:
        signature = jwt.encode({"typ": "JWT", **header}, CLAIMS, KEYS[key], algorithms=[key])
        token = signature
    else:
        token = f"{signed}.{good[2]}"
    if garbled >= 0:
        place = garbled % len(token)
        token = token[:place] + part(to)[0] + token[place + 1 :]
    assert ours(token) <= theirs(token), "never more than the reference"
    if garbled < 0:
        assert ours(token) == theirs(token)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        verifier().verify(text)
    with pytest.raises(InvalidToken):
        verifier().verify(f"{part({'alg': 'ES256', 'kid': 'ES256', 'typ': 'JWT'})}.{part(text.encode())}.{part(b'x')}")
