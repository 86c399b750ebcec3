"""Requests to other people's servers: bounded in time and in size, following no redirect, with no context open."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from corekit.values import Clock
from corekit_auth.errors import BadOauthCallback, ProviderUnreachable

TIMEOUT = 5.0
_BODY_MAX = 512 * 1024
_AGENT = "corekit-auth"
_FAULT = 500
_REFUSED = 400


class Outside:
    """One client for all providers; it is made at the first request, for it reads the system's certificates."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, token: str = "") -> Any:
        """Read a JSON document.

        Raises:
            ProviderUnreachable: no answer in time, or none that can be read.
            BadOauthCallback: it refuses.

        """
        return await self._ask("GET", url, headers={"Authorization": f"Bearer {token}"} if token else {})

    async def post(self, url: str, form: Mapping[str, str], *, auth: tuple[str, str] | None = None) -> Any:
        """Send a form and read the JSON answer (see `get`)."""
        return await self._ask("POST", url, data=dict(form), auth=auth)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> Any:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, headers={"User-Agent": _AGENT})
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._client.stream(
                    method, url, headers={"Accept": "application/json", **(headers or {})}, **request
                ) as answer,
            ):
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _BODY_MAX:
                        raise ProviderUnreachable("The provider's answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            raise ProviderUnreachable(retry_after=TIMEOUT) from None
        return _read(answer.status_code, bytes(body))


def _read(status: int, body: bytes) -> Any:
    if status >= _FAULT or 300 <= status < _REFUSED:  # noqa: PLR2004  # redirects are followed nowhere
        raise ProviderUnreachable(retry_after=TIMEOUT)
    if status >= _REFUSED:
        raise BadOauthCallback
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ProviderUnreachable("The provider's answer is no JSON") from None
