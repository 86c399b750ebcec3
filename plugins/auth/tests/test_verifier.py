"""The verifier agrees with joserfc on what is signed, and refuses what attackers send."""

import hmac
import subprocess
import sys
import timeit
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from corekit_auth.verifier import InvalidToken, Verifier
from corekit_auth.verifier.signatures import unpadded

ISSUER = "https://auth.example.org/auth/v1"
NOW = 1_900_000_000
KEY = ECKey.generate_key("P-256", private=True)
OTHER = ECKey.generate_key("P-256", private=True)
KID = KEY.thumbprint()
PUBLIC = {**KEY.as_dict(private=False), "kid": KID, "alg": "ES256", "use": "sig"}
CLAIMS = {
    "iss": ISSUER,
    "sub": str(uuid4()),
    "aud": "authenticated",
    "exp": NOW + 900,
    "iat": NOW,
    "role": "authenticated",
    "session_id": str(uuid4()),
    "aal": "aal1",
    "amr": [{"method": "password", "timestamp": NOW}],
}
HEADER = {"alg": "ES256", "kid": KID, "typ": "JWT"}


def verifier(now: float = NOW + 1, size: int = 10) -> Verifier:
    return Verifier({"keys": [PUBLIC]}, issuer=ISSUER, size=size, now=lambda: now)


def sign(header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, key: ECKey = KEY) -> str:
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=["ES256"])
    return jwt.encode({**HEADER, **(header or {})}, {**CLAIMS, **(claims or {})}, key, registry=registry)


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return urlsafe_b64encode(raw).decode().rstrip("=")


def without(*names: str) -> str:
    claims = {name: value for name, value in CLAIMS.items() if name not in names}
    return jwt.encode(HEADER, claims, KEY)


def test_a_good_token_says_who_it_is() -> None:
    claims = verifier().verify(sign())
    assert str(claims.sub) == CLAIMS["sub"]
    assert (claims.aal, claims.amr[0].method, claims.role) == ("aal1", "password", "authenticated")


def _swapped() -> str:
    head, body, _ = sign().split(".")
    return f"{head}.{body}.{sign(claims={'role': 'service_role'}).split('.')[2]}"


def _raw(header: object, payload: object, signature: bytes = bytes(64)) -> str:
    return f"{part(header)}.{part(payload)}.{part(signature)}"


def _hmac_with_public_key() -> str:
    signed = f"{part({**HEADER, 'alg': 'HS256'})}.{part(CLAIMS)}"
    return f"{signed}.{part(hmac.digest(KEY.as_pem(private=False), signed.encode(), 'sha256'))}"


def _other_bits() -> str:
    """Change bits of the last character that carry nothing: a lenient decoder sees the same signature."""
    token = sign()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


ATTACKS: dict[str, Callable[[], str]] = {
    "alg none": lambda: _raw({**HEADER, "alg": "none"}, CLAIMS, b""),
    "alg None, with a signature": lambda: _raw({**HEADER, "alg": "None"}, CLAIMS),
    "HS256 with the public key": _hmac_with_public_key,
    "RS256": lambda: jwt.encode(
        {"alg": "RS256", "kid": KID, "typ": "JWT"},
        CLAIMS,
        RSAKey.generate_key(2048, private=True),
        algorithms=["RS256"],
    ),
    "ES256 of another key": lambda: sign(key=OTHER),
    "signature of zeros": lambda: _raw(HEADER, CLAIMS),
    "signature of another token": _swapped,
    "changed payload": lambda: ".".join(
        [sign().split(".")[0], part({**CLAIMS, "role": "service_role"}), sign().split(".")[2]]
    ),
    "DER signature": lambda: ".".join([*sign().split(".")[:2], part(b"\x30\x44" + bytes(68))]),
    "cut signature": lambda: sign()[:-4],
    "no signature": lambda: sign().rpartition(".")[0] + ".",
    "trailing bits": _other_bits,
    "padding": lambda: sign() + "==",
    "junk in the signature": lambda: sign()[:-10] + "!" + sign()[-10:],
    "jku": lambda: sign({"jku": "https://evil.example/jwks.json"}),
    "x5u": lambda: sign({"x5u": "https://evil.example/cert"}),
    "crit": lambda: _raw({**HEADER, "crit": ["b64"], "b64": False}, CLAIMS),
    "own jwk": lambda: sign({"jwk": OTHER.as_dict(private=False)}, key=OTHER),
    "expired": lambda: sign(claims={"exp": NOW}),
    "not yet": lambda: sign(claims={"nbf": NOW + 3600}),
    "from the future": lambda: sign(claims={"iat": NOW + 3600}),
    "another issuer": lambda: sign(claims={"iss": "https://evil.example"}),
    "another audience": lambda: sign(claims={"aud": "other"}),
    "several audiences": lambda: sign(claims={"aud": ["authenticated"]}),
    "no session": lambda: without("session_id"),
    "no expiry": lambda: without("exp"),
    "no subject": lambda: without("sub"),
    "expiry as text": lambda: sign(claims={"exp": str(NOW + 900)}),
    "infinite expiry": lambda: sign(claims={"exp": 10**400}),
    "typ of another kind": lambda: sign({"typ": "id+jwt"}),
    "payload no object": lambda: jws.serialize_compact(HEADER, b"[]", KEY),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        verifier().verify(ATTACKS[name]())
    assert refused.value.reason == ("expired" if name == "expired" else "invalid")


SIGNATURES = [
    "alg none",
    "HS256 with the public key",
    "ES256 of another key",
    "signature of zeros",
    "signature of another token",
    "changed payload",
    "cut signature",
    "no signature",
]


@pytest.mark.parametrize("name", SIGNATURES)
def test_joserfc_refuses_it_too(name: str) -> None:
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(ATTACKS[name](), KEY, algorithms=["ES256"])


def test_joserfc_reads_what_we_read() -> None:
    token = sign(claims={"email": "ann@example.org"})
    theirs = jwt.decode(token, ECKey.import_key(PUBLIC), algorithms=["ES256"]).claims
    assert verifier().verify(token).email == theirs["email"]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c.d",
        "…",
        "anon",
        "ck_svc_abc_def",
        "." * 8000,
        "[" * 100_000,
        _raw([1], {}),
        _raw(b"[" * 5000, {}),
        _raw(HEADER | {"kid": None}, {"iss": "https://elsewhere.example"}),
        _raw({"alg": "HS256", "typ": "JWT"}, {"iss": "supabase-demo", "role": "anon"}),
        sign({"kid": "unknown"}, {"iss": "https://elsewhere.example"}),
        _raw({**HEADER, "kid": "unknown"}, b'{"iss":"\xff"}'),
    ],
)
def test_what_is_not_ours_is_foreign(token: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        verifier().verify(token)
    assert refused.value.reason == "foreign"


def test_our_issuer_with_an_unknown_key_is_ours_and_refused() -> None:
    with pytest.raises(InvalidToken) as refused:
        verifier().verify(sign({"kid": "unknown"}))
    assert refused.value.reason == "invalid"


def test_a_remembered_token_still_ends() -> None:
    now = [NOW + 1.0]
    checks = Verifier({"keys": [PUBLIC]}, issuer=ISSUER, now=lambda: now[0])
    token = sign()
    assert checks.verify(token) is checks.verify(token)
    now[0] = NOW + 900
    with pytest.raises(InvalidToken, match="expired"):
        checks.verify(token)


def test_what_it_remembers_is_bounded() -> None:
    checks = verifier(size=3)
    for n in range(10):
        checks.verify(sign(claims={"iat": NOW - n}))
    assert len(checks._recent._values) == 3


def test_a_key_on_another_curve_is_a_mistake() -> None:
    jwk = ECKey.generate_key("P-384", private=True).as_dict(private=False)
    with pytest.raises(ValueError, match="P-256"):
        Verifier({"keys": [{**jwk, "kid": "x", "alg": "ES256"}]}, issuer=ISSUER)


def test_decoding_base64_strictly_agrees_with_the_standard() -> None:
    for raw in (b"", b"\xff\xfe\xfd", bytes(range(256))):
        text = urlsafe_b64encode(raw).rstrip(b"=")
        assert unpadded(text) == raw == urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def test_it_needs_neither_database_nor_web_framework() -> None:
    """Other services import this module alone."""
    script = (
        "import sys\n"
        "import corekit_auth.verifier\n"
        "print(sorted(n for n in ('sqlalchemy', 'litestar') if n in sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_remembered_token_costs_little() -> None:
    """The real figure is in the benchmarks; this catches a check that is not remembered at all."""
    checks, token = verifier(), sign()
    checks.verify(token)
    assert min(timeit.repeat(lambda: checks.verify(token), number=200, repeat=10)) < 0.01
