"""The endpoints of Centrifugo's HTTP proxy, guarded by a secret that only it shows."""

from collections.abc import Callable
from typing import Any

from litestar import Request, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from corekit.errors import Unauthenticated, Unavailable
from corekit.settings import Secret
from corekit.web import public
from corekit.web.guards import Guard
from corekit.web.middleware import asker
from corekit_realtime.centrifugo.proxied import Response
from corekit_realtime.centrifugo.proxy import Proxy
from corekit_realtime.settings import RealtimeSettings

HEADER = "X-Corekit-Proxy-Secret"
PATH = "/realtime/v1/centrifugo"
_ENVELOPE = 32_768  # bytes around what a client sends: ids, and a token in JSON
_OWN = {"bearer": "own"}  # it is the client's, handed on, and read where it connects


def proxied(secret: Secret | None) -> Guard:
    """Let in who shows the secret; where none is set, nobody."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if secret is None or Secret(connection.headers.get(HEADER, "")) != secret:
            raise Unauthenticated(f"{HEADER} is missing or wrong", challenge=HEADER)

    return guard


def endpoints(settings: RealtimeSettings, proxy: Callable[[], Proxy | None]) -> list[HTTPRouteHandler]:
    """Make one endpoint per verb; `proxy` is there while the kit is started."""
    guards = [public(f"Centrifugo shows its secret in {HEADER}"), proxied(settings.centrifugo_proxy_secret)]
    names = ("connect", "refresh", "subscribe", "sub_refresh", "publish", "rpc")
    return [_endpoint(name, guards, settings.frame_max + _ENVELOPE, proxy) for name in names]


def _endpoint(name: str, guards: list[Guard], body_max: int, proxy: Callable[[], Proxy | None]) -> HTTPRouteHandler:
    @post(
        f"{PATH}/{name}",
        guards=guards,
        opt=_OWN,
        name=f"realtime:centrifugo:{name}",
        status_code=200,
        request_max_body_size=body_max,
        include_in_schema=False,
    )
    async def endpoint(request: Request[Any, Any, Any]) -> Response:
        found = proxy()
        if found is None:
            raise Unavailable
        return await found.answer(name, asker(request.scope)[0], await request.body(), _bearer(request))

    return endpoint


def _bearer(request: Request[Any, Any, Any]) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
