"""The gateway's place among the routes; the only part that knows Litestar."""

from collections.abc import Callable
from typing import Any

from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from corekit.context import Caller
from corekit.web import public
from corekit.web.middleware import asker
from corekit_realtime.gateway import Gateway


def entrance(path: str, gateway: Callable[[], Gateway | None]) -> ASGIRouteHandler:
    """Make the handler at `path`; the hot loop behind it never comes back here."""

    @asgi(path, copy_scope=False, guards=[public("the token comes with the first command")], opt={"bearer": "own"})
    async def sockets(scope: Scope, receive: Receive, send: Send) -> None:
        found, caller = gateway(), _caller(scope)
        if found is not None:
            await found.serve(scope, receive, send, caller)  # type: ignore[arg-type]  # Litestar's unions of messages
        elif scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": 1012, "reason": "not started"})

    return sockets


def _caller(scope: Any) -> Caller:
    return asker(scope)[0]
