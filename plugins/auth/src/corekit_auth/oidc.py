"""OpenID Connect: where a provider's endpoints are, which keys sign for it, what its id_tokens say."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet, import_key

from corekit_auth.errors import BadIdToken, BadOauthCallback, ProviderUnreachable
from corekit_auth.id_tokens import Expected, check_claims
from corekit_auth.outside import Outside
from corekit_auth.providers import Provider, secure

_DAY = 24 * 3600
_REREAD = 10  # seconds between two readings of the keys for the sake of unknown ones
_TOKEN_MAX = 16_384
_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider publishes of itself (OpenID Connect Discovery 1.0 §3)."""

    issuer: str = ""
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str = ""
    userinfo_endpoint: str = ""


class OpenId:
    """One provider; what it publishes is read once a day, and its keys once more for a key that is unknown."""

    def __init__(self, provider: Provider, outside: Outside) -> None:
        self._provider = provider
        self._outside = outside
        self._reading = asyncio.Lock()
        self._endpoints: tuple[Endpoints, float] | None = None
        self._keys: tuple[KeySet, float] | None = None

    async def endpoints(self) -> Endpoints:
        """Tell where to go; what the settings name stands above what the provider publishes.

        Raises:
            ProviderUnreachable: it does not say, or not as the protocol has it.

        """
        async with self._reading:
            return await self._discovered()

    async def verified(self, token: str, *, nonce: str, access_token: str = "") -> Mapping[str, Any]:
        """Return the claims of a good id_token.

        Raises:
            BadIdToken, UnexpectedAudience: telling what is wrong.
            ProviderUnreachable: its keys cannot be read.

        """
        if len(token) > _TOKEN_MAX:
            raise BadIdToken(f"id_token: at most {_TOKEN_MAX} characters")
        try:
            read = self._read(token, await self._current_keys())
        except InvalidKeyIdError:
            read = self._read_again(token, await self._current_keys(unknown=True))
        expected = Expected(
            issuers=self._provider.issuers,
            audiences=self._provider.accepted,
            now=self._now(),
            nonce=nonce,
            access_token=access_token,
            alg=str(read.header["alg"]),
        )
        check_claims(read.claims, expected)
        return read.claims

    def _read(self, token: str, keys: KeySet) -> jwt.Token:
        """Check the signature, by an algorithm of the provider's list and a key of its own alone."""
        try:
            return jwt.decode(token, keys, algorithms=list(self._provider.algorithms))
        except InvalidKeyIdError:
            raise
        except _BROKEN:
            raise BadIdToken from None

    def _read_again(self, token: str, keys: KeySet) -> jwt.Token:
        try:
            return self._read(token, keys)
        except InvalidKeyIdError:
            raise BadIdToken from None

    async def _discovered(self) -> Endpoints:
        if self._endpoints is not None and self._endpoints[1] > self._now():
            return self._endpoints[0]
        url = self._provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = await self._document(url)
        named = {
            field: getattr(self._provider, field)
            for field in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
            if getattr(self._provider, field)
        }
        try:
            found = msgspec.convert({**document, **named}, Endpoints)
        except msgspec.ValidationError:
            raise ProviderUnreachable("The provider does not publish its endpoints") from None
        if found.issuer != self._provider.issuer:
            raise ProviderUnreachable("The provider publishes another issuer than its own")
        urls = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
        if not found.jwks_uri or not all(self._usable(url) for url in urls if url):
            raise ProviderUnreachable("The provider publishes endpoints that are not https")
        self._endpoints = found, self._now() + _DAY
        return found

    async def _current_keys(self, *, unknown: bool = False) -> KeySet:
        """Return the keys; of many who miss the same one, the first reads them for all."""
        if (known := self._known_keys(_REREAD if unknown else _DAY)) is not None:
            return known
        async with self._reading:
            if (known := self._known_keys(_REREAD if unknown else _DAY)) is not None:
                return known
            document = await self._document((await self._discovered()).jwks_uri)
            keys = _key_set(document)
            self._keys = keys, self._now()
            return keys

    def _known_keys(self, age: float) -> KeySet | None:
        return self._keys[0] if self._keys is not None and self._now() - self._keys[1] < age else None

    async def _document(self, url: str) -> Mapping[str, Any]:
        try:
            document = await self._outside.get(url)
        except BadOauthCallback:
            raise ProviderUnreachable("The provider does not publish its endpoints and keys") from None
        if not isinstance(document, dict):
            raise ProviderUnreachable("The provider publishes something else than its endpoints and keys")
        return document

    def _usable(self, url: str) -> bool:
        """Tell whether a published address may be asked: an encrypted issuer names no address of this machine."""
        return secure(url) and (url.startswith("https:") or self._provider.issuer.startswith("http:"))

    def _now(self) -> float:
        return self._outside.clock.now().timestamp()


def _key_set(document: Mapping[str, Any]) -> KeySet:
    """Read the keys that sign; those that nobody here understands are left out (RFC 7517 §5)."""
    published = document.get("keys")
    keys = []
    for one in published if isinstance(published, list) else []:
        if isinstance(one, dict) and one.get("kty") in {"RSA", "EC"} and one.get("use", "sig") == "sig":
            try:
                keys.append(import_key(one))
            except _BROKEN:
                continue
    if not keys:
        raise ProviderUnreachable("The provider publishes no keys")
    return KeySet(keys)
