"""Have I Been Pwned: whether a password is in a known leak, asked with five characters of its hash alone."""

import asyncio
import hashlib
import hmac

import httpx

from corekit.watch.logs import get_logger

_BUDGET = 0.3
_BODY_MAX = 1 << 20


class Pwned:
    """The range search of api.pwnedpasswords.com, v3 (k-anonymity); no answer in time counts as not found."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def found(self, password: str) -> bool:
        """Tell whether a password was seen in a leak; padding keeps the length of the answer from telling which."""
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        if self._client is None:  # it reads the authorities that are trusted, which takes its time once
            self._client = httpx.AsyncClient(headers={"Add-Padding": "true", "User-Agent": "corekit-auth"})
        try:
            async with asyncio.timeout(_BUDGET):
                body = await self._range(self._client, digest[:5])
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            get_logger("corekit.auth").warning("pwned_not_asked", error=type(error).__name__)
            return False
        return any(_is(line, digest[5:]) for line in body.splitlines())

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _range(self, client: httpx.AsyncClient, prefix: str) -> str:
        body = bytearray()
        async with client.stream("GET", f"{self._url}/range/{prefix}") as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _BODY_MAX:
                    raise httpx.DecodingError("the answer is too long")
        return body.decode("ascii", "replace")


def _is(line: str, rest: str) -> bool:
    """Compare one line, `<35 characters>:<count>`; padding has a count of 0."""
    suffix, _, count = line.strip().partition(":")
    return hmac.compare_digest(suffix.encode(), rest.encode()) and count.strip() not in {"", "0"}
