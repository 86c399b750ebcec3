"""The three algorithms, straight on `cryptography`: what a check of a signature costs is all there."""

import hmac
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

RSA_MIN = 2048  # bits; RFC 7518 §3.3
SECRET_MIN = 32  # bytes; RFC 7518 §3.2
_COORDINATE = 32
_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ECDSA, _PADDING, _HASH = ECDSA(SHA256()), PKCS1v15(), SHA256()

Check = Callable[[bytes, bytes], None]  # what was signed, the raw signature: raises InvalidSignature or ValueError


class Key(NamedTuple):
    """A key that checks, and the one algorithm for which it is good."""

    alg: str
    check: Check


def public_key(jwk: Mapping[str, Any]) -> Key | None:
    """Read a published key; None for one of another kind, symmetric ones among them.

    Raises:
        ValueError: it says that it is one of ours and is not.

    """
    kind, alg = jwk.get("kty"), jwk.get("alg")
    if jwk.get("use", "sig") != "sig" or "kid" not in jwk:
        return None
    if alg == "ES256" or (alg is None and kind == "EC" and jwk.get("crv") == "P-256"):
        if kind != "EC" or jwk.get("crv") != "P-256":
            raise ValueError(f"key {jwk['kid']} is not an EC key on P-256")
        return Key("ES256", _es256(_number(jwk, "x"), _number(jwk, "y")))
    if alg == "RS256" or (alg is None and kind == "RSA"):
        if kind != "RSA" or (n := _number(jwk, "n")).bit_length() < RSA_MIN:
            raise ValueError(f"key {jwk['kid']} is not an RSA key of {RSA_MIN} bits or more")
        return Key("RS256", _rs256(n, _number(jwk, "e")))
    return None


def secret_key(secret: bytes) -> Key:
    """Take a shared secret (HS256).

    Raises:
        ValueError: it is too short.

    """
    if len(secret) < SECRET_MIN:
        raise ValueError(f"a secret for HS256 has at least {SECRET_MIN} bytes")

    def check(signed: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(secret, signed, "sha256"), signature):
            raise InvalidSignature

    return Key("HS256", check)


def _es256(x: int, y: int) -> Check:
    key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()

    def check(signed: bytes, signature: bytes) -> None:
        if len(signature) != 2 * _COORDINATE:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:_COORDINATE]), int.from_bytes(signature[_COORDINATE:])
        key.verify(encode_dss_signature(r, s), signed, _ECDSA)

    return check


def _rs256(n: int, e: int) -> Check:
    key = RSAPublicNumbers(e, n).public_key()

    def check(signed: bytes, signature: bytes) -> None:
        key.verify(signature, signed, _PADDING, _HASH)

    return check


def canonical(text: bytes) -> bytes:
    """Decode a signature; another spelling of the same bytes is refused (ValueError), or one token had many names."""
    raw = unpadded(text)
    if urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise ValueError("not the one way to write it")
    return raw


def unpadded(text: bytes) -> bytes:
    """Decode base64url strictly: the lenient decoder skips what it does not know (binascii.Error is a ValueError)."""
    return a2b_base64(text.translate(_ALPHABET) + b"=" * (-len(text) % 4), strict_mode=True)


def _number(jwk: Mapping[str, Any], name: str) -> int:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise ValueError(f"key {jwk['kid']} has no {name}")  # noqa: TRY004  # a fault of the document
    return int.from_bytes(unpadded(value.encode()))
