"""Routes that change what somebody has read: the guard that reads `If-Match`, and the tag to read it by."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import SkipValidation

from corekit.guard.preconditions import IfMatch, PreconditionRequired, etag, read_if_match
from corekit.web.guards import Guard

HEADER = "If-Match"
Match = NamedDependency[SkipValidation[IfMatch]]
_MARK = "corekit_conditional"
_STATE = "corekit_if_match"


def conditional() -> Guard:
    """Demand an `If-Match`; stands after `requires(…)`.

    The handler takes it as `if_match: Match`, and its service calls `if_match.demand(version)` under the lock under
    which it changes. Routes that show the same thing send `tagged(version)` as headers.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        sent = connection.headers.getall(HEADER, [])
        if not sent:
            raise PreconditionRequired(f'send the version that you have read: {HEADER}: "3"')
        connection.scope["state"][_STATE] = read_if_match(", ".join(sent))

    setattr(guard, _MARK, True)
    return guard


def is_conditional(handler: Any) -> bool:
    """Tell whether a route has the guard."""
    return isinstance(handler, BaseRouteHandler) and any(hasattr(guard, _MARK) for guard in handler.resolve_guards())


def tagged(version: int) -> dict[str, str]:
    """Return the header by which a client names this version later."""
    return {"ETag": etag(version)}


async def match_of(request: Request[Any, Any, Any]) -> IfMatch:
    """Return the versions that the guard has read."""
    found: IfMatch | None = request.scope["state"].get(_STATE)
    if found is None:
        raise RuntimeError("this route takes `if_match`: give it guards=[requires(…), conditional()]")
    return found
