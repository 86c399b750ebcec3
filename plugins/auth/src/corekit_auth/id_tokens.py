"""What an id_token must say (OpenID Connect Core 1.0 §3.1.3.7); its signature is checked elsewhere."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import msgspec

from corekit_auth.errors import BadIdToken, UnexpectedAudience

SKEW = 60
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1 << 40)]
Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: Subject
    aud: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]
    exp: Seconds
    iat: Seconds
    nbf: Seconds = 0
    azp: str | None = None
    nonce: str | None = None
    at_hash: str | None = None


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a good token fits: who issued it, for whom, when, and for which request.

    `nonce` is what the request said; native SDKs send its SHA-256 to the provider and keep the plain one.
    `access_token` is what came with it, if anything did.
    """

    issuers: Collection[str]
    audiences: Collection[str]
    now: float
    nonce: str = ""
    access_token: str = ""
    alg: str = "RS256"


def check_claims(claims: Mapping[str, Any], expected: Expected) -> None:
    """Refuse a token that does not say what it must.

    Raises:
        UnexpectedAudience: it was made for another application.
        BadIdToken: telling what is wrong.

    """
    try:
        said = msgspec.convert(claims, _Claims)
    except msgspec.ValidationError:
        raise BadIdToken("Bad ID token: iss, sub, aud, exp and iat are required") from None
    if said.iss not in expected.issuers:
        raise BadIdToken("Bad ID token: issued by somebody else")
    _check_audience(said, expected.audiences)
    if said.exp + SKEW <= expected.now:
        raise BadIdToken("Bad ID token: it has expired")
    if max(said.iat, said.nbf) > expected.now + SKEW:
        raise BadIdToken("Bad ID token: it is of the future")
    if not _same_nonce(said.nonce or "", expected.nonce):
        raise BadIdToken("Nonces mismatch")
    if said.at_hash is not None and expected.access_token:
        made = _at_hash(expected.access_token, expected.alg)
        if not hmac.compare_digest(made, said.at_hash.encode()):
            raise BadIdToken("Bad ID token: it belongs to another access_token")


def _check_audience(said: _Claims, ours: Collection[str]) -> None:
    """Refuse a token for somebody else; one for several says which of them asked for it (`azp`)."""
    named = [said.aud] if isinstance(said.aud, str) else said.aud
    if not any(one in ours for one in named):
        raise UnexpectedAudience
    if said.azp is None and len(named) > 1:
        raise UnexpectedAudience("Unacceptable audience in id_token: azp is required beside several audiences")
    if said.azp is not None and said.azp not in ours:
        raise UnexpectedAudience("Unacceptable azp in id_token")


def _same_nonce(said: str, sent: str) -> bool:
    """Compare both, where both are there: a token without the nonce that was asked for is somebody else's."""
    if not said or not sent:
        return said == sent
    plain, hashed = sent.encode(), hashlib.sha256(sent.encode()).hexdigest().encode()
    same = hmac.compare_digest(said.encode(), plain)
    return hmac.compare_digest(said.encode(), hashed) or same


def _at_hash(access_token: str, alg: str) -> bytes:
    """Hash an access token as the token's own signature is (OpenID Connect Core 1.0 §3.1.3.6)."""
    digest = hashlib.new(f"sha{alg[-3:]}", access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
