"""Calls of an adapter to its provider over HTTP, with what every provider's answer means until it is read."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from corekit.contracts.payments import NotAttempted, OutcomeUnknown
from corekit.errors import ConfigError

LIMIT = 1 << 20  # bytes of an answer
UNCOMPRESSED = {"Accept-Encoding": "identity"}  # what is sent is what is counted
_HEADERS = {"Accept": "application/json", **UNCOMPRESSED}
_UNAUTHORIZED, _FORBIDDEN, _IN_PROGRESS, _THROTTLED = 401, 403, 409, 429
_CLIENT_FAULT, _SERVER_FAULT = 400, 500
_RETRY_MAX = 3600  # seconds that a provider may ask us to wait


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said and meant to say: 2xx, or a refusal by 4xx with a body that can be read."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < _CLIENT_FAULT


class Line:
    """One instance's own client: no redirects, no retries, no proxies of the environment, TLS verified; needs `httpx`.

    Raises:
        ConfigError: `httpx` is not installed.

    """

    def __init__(self, base: str, login: tuple[str, str], *, timeout: float = 20.0) -> None:
        try:
            import httpx  # noqa: PLC0415  # an extra
        except ModuleNotFoundError as error:
            raise ConfigError('a provider over HTTP needs httpx: pip install "corekit-payments[razorpay]"') from error
        self._httpx = httpx
        self._base, self._login, self._timeout = base.rstrip("/"), login, timeout
        self._client: Any = None  # an httpx.AsyncClient

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call.

        Raises:
            NotAttempted: nothing was sent, or nothing was done (401, 403, 429).
            OutcomeUnknown: it was sent, and no answer that can be read came back.

        """
        http = self._httpx
        content = None if body is None else msgspec.json.encode(body)
        sent = {**_HEADERS, **({} if content is None else {"Content-Type": "application/json"}), **(headers or {})}
        try:
            async with self._open().stream(
                method, f"{self._base}{path}", params=params or None, headers=sent, content=content
            ) as answer:
                return self._read(answer, await whole(answer))
        except (http.ConnectError, http.ConnectTimeout, http.PoolTimeout, http.UnsupportedProtocol, http.InvalidURL):
            raise NotAttempted("the provider was not reached") from None
        except http.HTTPError as error:
            raise OutcomeUnknown(f"its answer was lost ({type(error).__name__})") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> Any:
        if self._client is None:
            self._client = self._httpx.AsyncClient(
                auth=self._login, timeout=self._timeout, follow_redirects=False, trust_env=False, verify=True,
                headers={"User-Agent": "corekit-payments"},
            )  # fmt: skip
        return self._client

    def _read(self, answer: Any, raw: bytes) -> Answer:
        status = answer.status_code
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise NotAttempted(f"the provider refused our key ({status})", refused=True)
        if status == _THROTTLED:
            raise NotAttempted("too many calls", retry_after=patience(answer.headers.get("retry-after", "")))
        redirected = not answer.is_success and status < _CLIENT_FAULT
        if status >= _SERVER_FAULT or status == _IN_PROGRESS or redirected:
            raise OutcomeUnknown(f"the provider answered {status}")
        try:
            return Answer(status=status, body=msgspec.json.decode(raw, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise OutcomeUnknown("its answer cannot be read") from None


async def whole(answer: Any) -> bytes:
    """Read the body of a streamed answer, which was asked for uncompressed (OutcomeUnknown: longer than `LIMIT`)."""
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > LIMIT:
            raise OutcomeUnknown("its answer is longer than any should be")
    return bytes(body)


def patience(text: str) -> timedelta | None:
    """Read `Retry-After` in its form of seconds (RFC 9110 §10.2.3), an hour at most."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    return timedelta(seconds=min(int(text), _RETRY_MAX))
