"""The hot path: from a token to what it says."""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature

from corekit_auth.lru import Recent
from corekit_auth.verifier.claims import Claims, InvalidToken, UnknownKey
from corekit_auth.verifier.signatures import Key, canonical, public_key, secret_key, unpadded

TOKEN_MAX = 8192
_SKEW = 60


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    jku: Any = msgspec.UNSET
    jwk: Any = msgspec.UNSET
    x5u: Any = msgspec.UNSET
    x5c: Any = msgspec.UNSET
    crit: Any = msgspec.UNSET

    def fits(self, key: Key) -> bool:
        """Whether it is an access token of ours in form: no key of its own, no extensions to understand."""
        extras = (self.jku, self.jwk, self.x5u, self.x5c, self.crit)
        return self.alg == key.alg and self.typ == "JWT" and all(extra is msgspec.UNSET for extra in extras)


class _Issuer(msgspec.Struct, frozen=True):
    iss: Any = None


class Verifier:
    """`Verifier(jwks, issuer=…)` takes a key set as `/.well-known/jwks.json` serves it; a token is checked once.

    `secrets` holds the keys for HS256 by `kid`: a key set never has them. A token stays good until its end here, also
    where its session has been ended: that only the server knows. `size` bounds the tokens remembered.
    """

    def __init__(
        self,
        jwks: Mapping[str, Any],
        *,
        issuer: str,
        audience: str = "authenticated",
        secrets: Mapping[str, bytes] | None = None,
        size: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._size = size
        self._now = now
        self._header = msgspec.json.Decoder(_Header)
        self._claims = msgspec.json.Decoder(Claims)
        self._iss = msgspec.json.Decoder(_Issuer)
        self.replace(jwks, secrets=secrets)

    def replace(
        self, jwks: Mapping[str, Any], *, secrets: Mapping[str, bytes] | None = None, retired: Collection[str] = ()
    ) -> None:
        """Take another key set, and forget what was checked with the last. `retired` kids are ours, and refused.

        Raises:
            ValueError: a key says that it is for ES256 or RS256 and is not.

        """
        keys = {jwk["kid"]: key for jwk in jwks["keys"] if (key := public_key(jwk))}
        self._keys: Mapping[str, Key] = keys | {kid: secret_key(secret) for kid, secret in (secrets or {}).items()}
        self._retired = frozenset(retired)
        self._recent: Recent[Claims] = Recent(self._size)

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
            header = self._header.decode(unpadded(head))
            payload = unpadded(body)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            raise InvalidToken("foreign") from None
        key = self._keys.get(header.kid) if header.kid else None
        if key is None:
            raise UnknownKey("invalid" if header.kid in self._retired or self._ours(payload) else "foreign")
        # The algorithm is that of our key, never one that the token asks for, and keys come from nowhere else.
        if not header.fits(key):
            raise InvalidToken("invalid")
        try:
            key.check(head + b"." + body, canonical(signature))
        except (InvalidSignature, ValueError):
            raise InvalidToken("invalid") from None
        return self._checked(payload)

    def _checked(self, payload: bytes) -> Claims:
        try:
            claims = self._claims.decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: not UTF-8
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
        except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: not UTF-8
            return False
