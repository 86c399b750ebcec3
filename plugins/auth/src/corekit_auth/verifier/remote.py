"""Checking tokens in another service: the key set is read over the network, rarely."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from corekit_auth.verifier.claims import Claims, UnknownKey
from corekit_auth.verifier.local import Verifier

LIFE = 600.0  # seconds for which a key set is taken as it is
_STALE = 3600.0  # for so long an old one serves where the server does not answer
_AGAIN = 10.0  # between two readings for unknown keys: tokens that anybody makes up cost one request, not many
_TIMEOUT = 5.0
_SIZE_MAX = 256 * 1024
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class KeysUnavailable(Exception):
    """The key set cannot be read, and there is none that is young enough."""


class RemoteVerifier:
    """`await RemoteVerifier.fetch(url, issuer=…)`, then `await verifier.verify(token)`; needs `httpx`.

    The key set is read again after `LIFE`, and once on a `kid` that it lacks: a rotation is followed at once.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        audience: str = "authenticated",
        size: int = 10_000,
        now: Callable[[], float] = time.time,
        client: Any = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"{url!r}: a key set is read over https, or from a loopback host")
        self._url = url
        self._client = client
        self._verifier = Verifier({"keys": []}, issuer=issuer, audience=audience, size=size, now=now)
        self._read_at = self._asked_at = -float("inf")
        self._jwks: Any = None
        self._lock = asyncio.Lock()

    @classmethod
    async def fetch(cls, url: str, *, issuer: str, audience: str = "authenticated", **options: Any) -> Self:
        """Make one and read the key set.

        Raises:
            KeysUnavailable: it cannot be read.

        """
        made = cls(url, issuer=issuer, audience=audience, **options)
        await made._refresh()
        made._asked_at = -float("inf")  # the first unknown key is asked for at once
        return made

    async def verify(self, token: str) -> Claims:
        """Return what a good token says.

        Raises:
            InvalidToken: telling why it is refused.
            KeysUnavailable: no key set was to be had for an hour.

        """
        if time.monotonic() - self._read_at >= LIFE:
            await self._refresh()
        try:
            return self._verifier.verify(token)
        except UnknownKey as error:
            if error.reason == "foreign" or not await self._refresh():
                raise
        return self._verifier.verify(token)

    async def _refresh(self) -> bool:
        """Read the key set unless that was tried lately; tell whether it is another one."""
        began = time.monotonic()
        async with self._lock:
            if self._read_at > began:  # somebody else did, while this waited
                return True
            if time.monotonic() - self._asked_at < _AGAIN:
                self._demand_young()
                return False
            self._asked_at = time.monotonic()
            try:
                jwks = await self._get()
                changed = bool(jwks != self._jwks)
                if changed:
                    self._verifier.replace(jwks)
            except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
                self._demand_young(error)
                return False
            self._jwks, self._read_at = jwks, time.monotonic()
            return changed

    def _demand_young(self, cause: Exception | None = None) -> None:
        if time.monotonic() - self._read_at > _STALE:
            raise KeysUnavailable(f"no key set from {self._url}") from cause

    async def _get(self) -> Any:
        import httpx  # noqa: PLC0415  # only who reads over the network needs it

        async with asyncio.timeout(_TIMEOUT):
            if self._client is not None:
                return await _read(self._client, self._url)
            async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
                return await _read(client, self._url)


async def _read(client: Any, url: str) -> Any:
    import httpx  # noqa: PLC0415  # see above

    body = bytearray()
    try:
        async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _SIZE_MAX:
                    raise ValueError("the key set is too large")
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    return msgspec.json.decode(bytes(body))
