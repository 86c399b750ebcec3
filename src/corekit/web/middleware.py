"""The one middleware: who is asking, from where, under which request id."""

import asyncio
from typing import Any

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from corekit.context import Actor, Caller, Client, Kit
from corekit.contracts.auth import Denied, authenticate
from corekit.values import trace_id
from corekit.web.proxies import Proxies

_KEY = "corekit"
_TASK = "corekit_task"
_TOKEN_MAX = 8192
_FORWARDED = b"x-forwarded-for"
_HEADERS = frozenset((b"authorization", b"user-agent", _FORWARDED))


def asker(scope: Scope) -> tuple[Caller, Denied | None]:
    """Return who asks, and why their token was refused if it was."""
    found: tuple[Caller, Denied | None] = scope["state"][_KEY]
    return found


def task_of(scope: Scope) -> "asyncio.Task[Any] | None":
    """Return the task that runs the route; its dependencies may be made in others."""
    found: asyncio.Task[Any] | None = scope["state"][_TASK]
    return found


class WhoAsks(ASGIMiddleware):
    """Puts a `Caller` into every request: from the bearer token, or NOBODY.

    A route with `opt={"bearer": "own"}` reads its bearer itself.
    """

    def __init__(self, kit: Kit, trusted_proxies: tuple[str, ...] = ()) -> None:
        self._kit = kit
        self._proxies = Proxies(trusted_proxies)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find out who asks, then go on."""
        headers: dict[bytes, bytes] = {}
        for key, value in scope["headers"]:
            if key in _HEADERS:  # each proxy may have added a line of its own
                headers[key] = headers[key] + b"," + value if key == _FORWARDED and key in headers else value
        request_id = trace_id()
        scope.setdefault("state", {})["request_id"] = request_id
        peer = (scope.get("client") or ("", 0))[0]
        address = self._proxies.client(peer, headers.get(_FORWARDED, b"").decode("latin-1"))
        client = Client(address, headers.get(b"user-agent", b"").decode("latin-1")[:512])
        caller = Caller(self._kit, request_id=request_id, client=client)
        handler: Any = scope.get("route_handler")
        own = handler is not None and handler.opt.get("bearer") == "own"
        scope["state"][_KEY] = (caller, None) if own else await self._authenticate(caller, headers)
        scope["state"][_TASK] = asyncio.current_task()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await next_app(scope, receive, with_id)

    async def _authenticate(self, caller: Caller, headers: dict[bytes, bytes]) -> tuple[Caller, Denied | None]:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX:
            return caller, None
        answer: Actor | Denied | None = await self._kit.hooks.first(authenticate, token.strip(), caller)
        if isinstance(answer, Actor):
            return Caller(self._kit, answer, request_id=caller.request_id, client=caller.client), None
        return caller, answer
