"""The OpenAPI document, made to say what the server does: problem documents, and which routes need no token."""

from collections.abc import Callable
from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from corekit.web.guards import PUBLIC
from corekit.web.idempotency import HEADER, is_idempotent
from corekit.web.preconditions import HEADER as IF_MATCH
from corekit.web.preconditions import is_conditional

_PROBLEM = {
    "description": "The input does not fit: a problem document (RFC 9457) whose pointer names the field",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "description": "URI of the problem's kind"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "integer", "description": "the error's number on the realtime socket"},
        "detail": {"type": "string"},
        "pointer": {"type": "string", "description": "JSON Pointer to the field (RFC 6901)"},
    },
}


_KEY = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "A new one for each intent, and the same with each repetition of its request; quoted or bare",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_VERSION = {
    "name": IF_MATCH,
    "in": "header",
    "required": True,
    "description": "The version that you have read, in quotes, as in the ETag of what you read; or *",
    "schema": {"type": "string", "minLength": 1, "maxLength": 1024},
}


def document(app: Litestar) -> dict[str, Any]:
    """Return the document of an application; Litestar's own says 400 where corekit answers 422."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _SCHEMA
    public, keyed, versioned = _public(app), _where(app, is_idempotent), _where(app, is_conditional)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            responses = operation.get("responses", {})
            if responses.pop("400", None):
                responses["422"] = _PROBLEM
            if (path, method) in public:
                operation.setdefault("security", [])
            if (path, method) in keyed:
                operation.setdefault("parameters", []).append(_KEY)
            if (path, method) in versioned:
                operation.setdefault("parameters", []).append(_VERSION)
    return schema


def _public(app: Litestar) -> set[tuple[str, str]]:
    """Find the (path, method) behind a guard that lets everybody in."""
    return _where(app, lambda handler: any(hasattr(guard, PUBLIC) for guard in handler.resolve_guards()))


def _where(app: Litestar, fits: Callable[[HTTPRouteHandler], bool]) -> set[tuple[str, str]]:
    """Find the (path, method) of handlers."""
    return {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if fits(handler)
    }


class Description(JsonRenderPlugin):
    """Serves the document as `openapi.json`."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the document; it is made once."""
        return self.render_json(request, document(request.app))
