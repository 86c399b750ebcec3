"""Centrifugo's HTTP server API: bounded in time, following no redirect."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from corekit.errors import ConfigError
from corekit_realtime.centrifugo.calls import Call
from corekit_realtime.settings import RealtimeSettings

INTERNAL = 100  # the one error of the API that may be gone with the next try
_OK = 200
_LASTING = range(400, 500)
_PASSING = frozenset((401, 403, 408, 425, 429))  # of these, what an operator mends or time does


class ApiError(Struct, frozen=True):
    """Why Centrifugo did not do a command."""

    code: int = INTERNAL
    message: str = ""


class Reply(Struct, frozen=True):
    """What became of a command: `result` is encoded."""

    error: ApiError | None = None
    result: Raw = Raw(b"{}")


class ApiFailed(Exception):
    """No answer that can be read; `lasting` says that the same request will never have one."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


class ServerApi:
    """One client for all requests; needs `httpx`."""

    def __init__(self, settings: RealtimeSettings) -> None:
        """Make the client.

        Raises:
            ConfigError: `httpx` is not installed.

        """
        try:
            import httpx  # noqa: PLC0415  # an extra
        except ImportError:
            message = '[realtime] mode is centrifugo, but httpx is missing: pip install "corekit-realtime[centrifugo]"'
            raise ConfigError(message) from None
        key = settings.centrifugo_api_key
        self._failures = (httpx.HTTPError, httpx.InvalidURL)
        self._http = httpx.AsyncClient(
            base_url=settings.centrifugo_url,
            headers={"X-API-Key": key.reveal() if key else "", "User-Agent": "corekit-realtime"},
            timeout=settings.centrifugo_timeout,
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, call: Call) -> Reply:
        """Do one command (ApiFailed)."""
        reply: Reply = _read(await self._post(call.name, call.request), Reply)
        return reply

    async def batch(self, calls: Sequence[Call]) -> list[Reply]:
        """Do commands one after the other, with one request (ApiFailed)."""
        if len(calls) == 1:
            return [await self.call(calls[0])]
        body = {"commands": [{call.name: call.request} for call in calls]}
        found = _read(await self._post("batch", body), dict[str, list[dict[str, Raw]]]).get("replies", [])
        if len(found) != len(calls):
            raise ApiFailed("the answer has not one reply per command")
        return [_reply(call, reply) for call, reply in zip(calls, found, strict=True)]

    async def _post(self, name: str, body: Any) -> bytes:
        try:
            answer = await self._http.post(
                f"/{name}", content=msgspec.json.encode(body), headers={"Content-Type": "application/json"}
            )
        except self._failures as error:
            raise ApiFailed(type(error).__name__) from None
        status = answer.status_code
        if status != _OK:
            raise ApiFailed(f"HTTP {status}", lasting=status in _LASTING and status not in _PASSING)
        content: bytes = answer.content
        return content


def _reply(call: Call, reply: dict[str, Raw]) -> Reply:
    if (error := reply.get("error")) is not None:
        return Reply(_read(error, ApiError))
    return Reply(result=reply.get(call.name, Raw(b"{}")))


def _read(body: bytes | Raw, form: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ApiFailed("the answer has not the form of the API") from None
