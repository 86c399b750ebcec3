"""Routes that may be repeated: the guard that reads the key, and what stores a reply before it is sent."""

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import SerializationException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.params import BodyKwarg, SkipValidation
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from corekit.errors import Invalid, Problem
from corekit.guard.idempotency import (
    Claim,
    Idempotency,
    IdempotencyInProgress,
    IdempotencyKey,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    Replay,
    Reply,
    Unsettled,
    fingerprint,
    read_key,
)
from corekit.watch.logs import get_logger
from corekit.web.guards import Guard
from corekit.web.middleware import asker
from corekit.web.problems import REPLAYED, on_exception, on_problem, on_replay

HEADER = "Idempotency-Key"
Key = NamedDependency[SkipValidation[IdempotencyKey]]
_MARK = "corekit_idempotent"
_STATE = "corekit_idempotency"
_KEPT = frozenset((b"content-type", b"location"))
_ACCEPTED, _FINAL_FAILURE = 202, 402


def idempotent() -> Guard:
    """Demand an `Idempotency-Key`, and store what is answered under it; stands after `requires(…)`.

    The handler takes it as `idempotency_key: Key` and claims it in the transaction of what it does. It answers 202
    while that is in hand, and any other 2xx or a 402 once it is settled.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        sent = connection.headers.getall(HEADER, [])
        if not sent:
            raise IdempotencyKeyMissing(f"send a new {HEADER} with each request, and the same with its repetitions")
        if len(sent) > 1:
            raise IdempotencyKeyInvalid("several were sent")
        key = read_key(sent[0])
        scope = connection.scope
        query = cast("dict[str, Any]", scope).get("query_string", b"").decode("latin-1")
        path = f"{scope['path']}?{query}" if query else scope["path"]
        body = await _body(cast("Request[Any, Any, Any]", connection), handler)
        scope["state"][_STATE] = IdempotencyKey(key, fingerprint(str(cast("Any", scope)["method"]), path, body))

    setattr(guard, _MARK, True)
    return guard


def is_idempotent(handler: Any) -> bool:
    """Tell whether a route has the guard."""
    return isinstance(handler, BaseRouteHandler) and any(hasattr(guard, _MARK) for guard in handler.resolve_guards())


async def key_of(request: Request[Any, Any, Any]) -> IdempotencyKey:
    """Return the key that the guard has read."""
    key: IdempotencyKey | None = request.scope["state"].get(_STATE)
    if key is None:
        raise RuntimeError("this route takes `idempotency_key`: give it guards=[requires(…), idempotent()]")
    return key


async def _body(request: Request[Any, Any, Any], handler: BaseRouteHandler) -> bytes:
    """Write what the handler will be given as JSON with sorted keys; what is no JSON stays as it came.

    Two bodies that mean the same to the handler are the same, whatever their order, spaces and left-out defaults.

    Raises:
        Invalid: the handler would take a value of another type for what it means, `"1e3"` for 1000: where something is
            done once and for all, nothing is guessed.

    """
    data = handler.parsed_fn_signature.parameters.get("data")
    marked = getattr(data, "kwarg_definition", None)
    if data is None or (isinstance(marked, BodyKwarg) and marked.media_type != RequestEncodingType.JSON):
        return await request.body()
    decode, encode = handler.default_deserializer, handler.default_serializer
    try:
        plain = await request.json()
        given = msgspec.convert(plain, data.annotation, strict=False, str_keys=True, dec_hook=decode)
        canonical = msgspec.json.encode(given, order="sorted", enc_hook=encode)
    except (
        SerializationException,
        msgspec.MsgspecError,
        TypeError,
        ValueError,
        RecursionError,
    ):  # the handler's turn is next
        return await request.body()
    try:
        msgspec.convert(plain, data.annotation, str_keys=True, dec_hook=decode)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        parts = re.split(r"[.\[\]]+", place.rstrip("`"))
        raise Invalid(reason, pointer="".join(f"/{part}" for part in parts if part)) from None
    return canonical


class StoredReplies(ASGIMiddleware):
    """Stores the reply of an idempotent route before it is sent; all others are let alone."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Hold back what the route sends until it is known what to do with it."""
        if not is_idempotent(scope.get("route_handler")):
            await next_app(scope, receive, send)
            return
        # What a repeated request accepts may be compressed otherwise; proxies and servers do that after the storing.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await next_app(scope, receive, _Recorder(scope, receive, send).send)


class _Recorder:
    """The reply of one request on its way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Any = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Gather the reply; at its end, store it and send it."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._end()

    async def _end(self) -> None:
        """Send the reply, or what has to be said in its place."""
        key: IdempotencyKey | None = self._scope["state"].get(_STATE)
        request: Request[Any, Any, Any] = Request(self._scope, self._receive)
        try:
            if key is not None and not any(name.lower() == REPLAYED for name, _ in self._start["headers"]):
                await self._store(key)
        except Replay as replay:
            await self._answer(on_replay(request, replay))
        except Problem as problem:
            await self._answer(on_problem(request, problem))
        except Exception as error:  # noqa: BLE001  # whatever it is, the reply is not stored, so it is not sent
            await self._answer(on_exception(request, error))
        else:
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": self._body, "more_body": False})

    async def _store(self, key: IdempotencyKey) -> None:
        """Store a final reply of what was claimed; let the key go after any other."""
        caller, _ = asker(self._scope)
        store, status = caller.kit.get(Idempotency), self._start["status"]
        final = (200 <= status < 300 and status != _ACCEPTED) or status == _FINAL_FAILURE  # noqa: PLR2004
        if key.claim is None:
            if 200 <= status < 300:  # noqa: PLR2004
                raise Unsettled("the route has the guard `idempotent()`, but claims no key")
            return
        if not final:
            await self._let_go(store, key.claim, refused=300 <= status < 500)  # noqa: PLR2004
            return
        try:
            await store.finish(caller, key.claim, Reply(status, _kept(self._start["headers"]), self._body))
        except Unsettled:
            await self._let_go(store, key.claim, refused=status == _FINAL_FAILURE)
            if status != _FINAL_FAILURE:
                raise
        except (Replay, IdempotencyInProgress):
            raise
        except Exception:  # the database is busy or away: perhaps it takes this, so that the next attempt need not wait
            await self._let_go(store, key.claim, refused=False)
            raise

    async def _let_go(self, store: Idempotency, claim: Claim, *, refused: bool) -> None:
        """End the claim; where that fails the reply is sent all the same, and the lease ends by itself."""
        caller, _ = asker(self._scope)
        try:
            await (store.drop if refused else store.release)(caller, claim)
        except Exception as error:  # noqa: BLE001  # the reply says more
            get_logger("corekit.web").warning("idempotency_key_held", error=type(error).__name__)

    async def _answer(self, response: Response[bytes]) -> None:
        ready = response.to_asgi_response(None, Request(self._scope, self._receive))
        await ready(self._scope, self._receive, self._send)


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower().decode(), value.decode("latin-1")) for name, value in headers if name.lower() in _KEPT)
