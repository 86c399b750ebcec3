"""Checks access tokens with nothing but a key set: usable in any service, with no kit and no database."""

import hashlib
import time
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from corekit_auth.lru import Recent

TOKEN_MAX = 8192
_COORDINATE = 32
_SKEW = 60
_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ECDSA = ECDSA(SHA256())


Reason = Literal["foreign", "expired", "invalid"]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]  # since 1970


class Method(msgspec.Struct, frozen=True):
    """One step of a sign-in."""

    method: str
    timestamp: Seconds
    provider: str | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says."""

    iss: str
    sub: UUID
    aud: str
    exp: Seconds
    iat: Seconds
    session_id: UUID
    role: str
    nbf: Seconds = 0
    email: str = ""
    phone: str = ""
    app_metadata: dict[str, Any] = {}
    user_metadata: dict[str, Any] = {}
    aal: Literal["aal1", "aal2"] = "aal1"
    amr: tuple[Method, ...] = ()
    is_anonymous: bool = False
    client_id: str | None = None
    scope: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    jku: Any = msgspec.UNSET
    jwk: Any = msgspec.UNSET
    x5u: Any = msgspec.UNSET
    crit: Any = msgspec.UNSET

    @property
    def plain(self) -> bool:
        """Whether it is an access token of ours in form: no key of its own, no extensions to understand."""
        extras = (self.jku, self.jwk, self.x5u, self.crit)
        return self.alg == "ES256" and self.typ == "JWT" and all(extra is msgspec.UNSET for extra in extras)


class _Issuer(msgspec.Struct, frozen=True):
    iss: Any = None


class InvalidToken(Exception):
    """A refused token: `foreign` is not ours at all, `expired` was good once, `invalid` is ours and wrong."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the token is {reason}")
        self.reason: Reason = reason


class Verifier:
    """`Verifier(jwks, issuer=…)` takes a key set as `/.well-known/jwks.json` serves it; a token is checked once.

    A token stays good until its end here, also where its session has been ended: that only the server knows.
    `size` bounds the tokens remembered.
    """

    def __init__(
        self,
        jwks: Mapping[str, Any],
        *,
        issuer: str,
        audience: str = "authenticated",
        size: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = {key["kid"]: _public_key(key) for key in jwks["keys"] if key.get("alg") == "ES256"}
        self._issuer = issuer
        self._audience = audience
        self._recent: Recent[Claims] = Recent(size)
        self._now = now
        self._header = msgspec.json.Decoder(_Header)
        self._claims = msgspec.json.Decoder(Claims)
        self._iss = msgspec.json.Decoder(_Issuer)

    def verify(self, token: str) -> Claims:
        """Return what a good token says.

        Raises:
            InvalidToken: telling why it is refused.

        """
        digest = hashlib.sha256(token.encode("ascii", "replace")).digest()
        claims = self._recent.get(digest)
        if claims is None:
            claims = self.decode(token)
            self._recent.put(digest, claims)
        elif claims.exp <= self._now():
            raise InvalidToken("expired")
        return claims

    def decode(self, token: str) -> Claims:
        """Do what `verify` does, without remembering the token."""
        if len(token) > TOKEN_MAX:
            raise InvalidToken("foreign")
        try:
            head, body, signature = token.encode("ascii").split(b".")
            header = self._header.decode(_bytes(head))
            payload = _bytes(body)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            raise InvalidToken("foreign") from None
        key = self._keys.get(header.kid) if header.kid else None
        if key is None:
            raise InvalidToken("invalid" if self._ours(payload) else "foreign")
        # The algorithm is that of our key, never one that the token asks for, and keys come from nowhere else.
        if not header.plain:
            raise InvalidToken("invalid")
        _check_signature(key, head + b"." + body, signature)
        return self._checked(payload)

    def _checked(self, payload: bytes) -> Claims:
        try:
            claims = self._claims.decode(payload)
        except (msgspec.MsgspecError, RecursionError):
            raise InvalidToken("invalid") from None
        now = self._now()
        if claims.iss != self._issuer or claims.aud != self._audience or max(claims.nbf, claims.iat) > now + _SKEW:
            raise InvalidToken("invalid")
        if claims.exp <= now:
            raise InvalidToken("expired")
        return claims

    def _ours(self, payload: bytes) -> bool:
        """Tell whether it claims to be ours; such a token is refused and not passed on to others."""
        try:
            return bool(self._iss.decode(payload).iss == self._issuer)
        except (msgspec.MsgspecError, RecursionError):
            return False


def _check_signature(key: EllipticCurvePublicKey, signed: bytes, signature: bytes) -> None:
    try:
        raw = _bytes(signature)
        if len(raw) != 2 * _COORDINATE or urlsafe_b64encode(raw).rstrip(b"=") != signature:
            raise InvalidToken("invalid")
        r, s = int.from_bytes(raw[:_COORDINATE]), int.from_bytes(raw[_COORDINATE:])
        key.verify(encode_dss_signature(r, s), signed, _ECDSA)
    except (InvalidSignature, ValueError):
        raise InvalidToken("invalid") from None


def _public_key(jwk: Mapping[str, Any]) -> EllipticCurvePublicKey:
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise ValueError(f"key {jwk['kid']} is not an EC key on P-256")
    x, y = (int.from_bytes(_bytes(jwk[name].encode())) for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def _bytes(text: bytes) -> bytes:
    """Decode base64url strictly: the lenient decoder skips what it does not know (binascii.Error is a ValueError)."""
    return a2b_base64(text.translate(_ALPHABET) + b"=" * (-len(text) % 4), strict_mode=True)
