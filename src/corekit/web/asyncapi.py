"""The AsyncAPI document (3.0): the channels that clients hear, and the methods that they call."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec
from litestar import MediaType, Request
from litestar.openapi.plugins import JsonRenderPlugin

from corekit.contracts.realtime import MethodSurface, Namespace, Realtime, Surface
from corekit.kit import Corekit
from corekit.web.settings import WebSettings

Json = dict[str, Any]

_INFO = """\
Channels and methods of the realtime socket. It speaks the Centrifuge client protocol, version 2, in JSON and Protobuf.
The access token goes into the command `connect`, never into the URL, a header or a cookie."""
_ANY = {"description": "any JSON"}
_ERROR = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "integer", "description": "the protocol's own below 400, those of plugins from there on"},
        "message": {"type": "string"},
        "temporary": {"type": "boolean", "description": "whether it is worth trying again"},
    },
}


def document(kit: Corekit) -> Json:
    """Return the document of a started kit; `receive` and `send` in it are the server's."""
    web, surface = kit.config.table("web", WebSettings), kit.get(Realtime).surface()
    schemas, parts = _schemas(surface)
    channels: Json = {}
    operations: Json = {}
    for namespace, recoverable in surface.namespaces:
        channels[namespace.name] = _channel(namespace, parts, recoverable=recoverable)
        operations |= dict(_of_channel(namespace, channels[namespace.name]["messages"]))
    for method in surface.methods:
        name = f"rpc.{method.name}"
        channels[name] = _method(method, parts)
        operations[name] = _call(name, method)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "corekit", "version": "1", "description": _INFO},
        "defaultContentType": "application/json",
        "servers": {"socket": _server(f"{web.host}:{web.port}", surface.path)},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas, "messages": {"error": {"title": "Error", "payload": _ERROR}}},
    }


class AsyncDescription(JsonRenderPlugin):
    """Serves the document as `asyncapi.json`, beside `openapi.json`."""

    def __init__(self, kit: Corekit) -> None:
        super().__init__(path="/asyncapi.json", media_type=MediaType.JSON)
        self._kit = kit

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the document."""
        return self.render_json(request, document(self._kit))


def _server(host: str, path: str) -> Json:
    return {
        "host": "{host}",
        "pathname": path,
        "protocol": "ws",
        "description": "`wss` where TLS is in front of it.",
        "variables": {"host": {"default": host, "description": "name and port"}},
    }


def _schemas(surface: Surface) -> tuple[Json, Mapping[Any, Json]]:
    """Return the shared schemas, and the schema of each type."""
    carried = chain.from_iterable(namespace.carries for namespace, _ in surface.namespaces)
    called = chain.from_iterable((method.request, method.answer) for method in surface.methods)
    types = list(dict.fromkeys((*carried, *called)))
    found, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(schemas), dict(zip(types, found, strict=True))


def _channel(namespace: Namespace, parts: Mapping[Any, Json], *, recoverable: bool) -> Json:
    carried: Json = {kind.__name__: {"payload": parts[kind]} for kind in namespace.carries}
    return {
        "address": f"{namespace.name}:{{id}}",
        "description": " ".join(_facts(namespace, recoverable=recoverable)),
        "parameters": {"id": {"description": f"a TypeID with the prefix `{namespace.prefix}`"}},
        "messages": carried or {"any": {"payload": _ANY}},
    }


def _facts(namespace: Namespace, *, recoverable: bool) -> Iterable[str]:
    if namespace.about:
        yield namespace.about
    yield "Subscribed by the server." if namespace.server_side else "Clients subscribe."
    if recoverable:
        yield "Recoverable: publications have offsets, and who comes back gets what was missed."
    if namespace.presence:
        yield "Who is there can be asked for."
    if namespace.join_leave:
        yield f"Joins and leaves are told, up to {namespace.join_leave_max} subscriptions."


def _of_channel(namespace: Namespace, messages: Json) -> Iterable[tuple[str, Json]]:
    place = f"#/channels/{namespace.name}"
    what = {"channel": {"$ref": place}, "messages": [{"$ref": f"{place}/messages/{name}"} for name in messages]}
    yield f"{namespace.name}.publication", {"action": "send", "summary": "What subscribers hear.", **what}
    if namespace.publish:
        yield f"{namespace.name}.publish", {"action": "receive", "summary": "What clients publish.", **what}


def _method(method: MethodSurface, parts: Mapping[Any, Json]) -> Json:
    return {
        "address": method.name,
        "description": "A method: the address is what the command `rpc` names.",
        "messages": {
            "request": {"payload": parts[method.request]},
            "answer": {"payload": parts[method.answer]},
            "error": {"$ref": "#/components/messages/error"},
        },
    }


def _call(name: str, method: MethodSurface) -> Json:
    place = f"#/channels/{name}"
    replies = [{"$ref": f"{place}/messages/{message}"} for message in ("answer", "error")]
    summary, _, more = method.about.partition("\n")
    return {
        "action": "receive",
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/request"}],
        "reply": {"channel": {"$ref": place}, "messages": replies},
        "summary": summary,
        **({"description": more.strip()} if more.strip() else {}),
    }
