"""The one middleware: who is asking, from where, under which request id."""

from ipaddress import ip_address, ip_network
from typing import Any

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from corekit.context import Actor, Caller, Client, Kit
from corekit.contracts.auth import Denied, authenticate
from corekit.values import uuid7

_KEY = "corekit"
_TOKEN_MAX = 8192
_HEADERS = frozenset((b"authorization", b"user-agent", b"x-forwarded-for"))


def asker(scope: Scope) -> tuple[Caller, Denied | None]:
    """Return who asks, and why their token was refused if it was."""
    found: tuple[Caller, Denied | None] = scope["state"][_KEY]
    return found


class WhoAsks(ASGIMiddleware):
    """Puts a `Caller` into every request: from the bearer token, or NOBODY.

    A route with `opt={"bearer": "own"}` reads its bearer itself.
    """

    def __init__(self, kit: Kit, trusted_proxies: tuple[str, ...] = ()) -> None:
        self._kit = kit
        self._trusted = [ip_network(text, strict=False) for text in trusted_proxies]

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find out who asks, then go on."""
        headers = {key: value for key, value in scope["headers"] if key in _HEADERS}
        request_id = str(uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        client = Client(self._address(scope, headers), headers.get(b"user-agent", b"").decode("latin-1")[:512])
        caller = Caller(self._kit, request_id=request_id, client=client)
        handler: Any = scope.get("route_handler")
        own = handler is not None and handler.opt.get("bearer") == "own"
        scope["state"][_KEY] = (caller, None) if own else await self._authenticate(caller, headers)

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

    def _address(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        """Return the right-most address that no trusted proxy wrote."""
        peer = (scope.get("client") or ("", 0))[0]
        if not self._trusts(peer):
            return peer
        hops = [hop.strip() for hop in headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",") if hop.strip()]
        return next((hop for hop in reversed(hops) if not self._trusts(hop)), peer)

    def _trusts(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            return any(ip_address(address) in network for network in self._trusted)
        except ValueError:
            return False
