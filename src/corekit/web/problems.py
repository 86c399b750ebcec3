"""Problems as HTTP answers: RFC 9457 documents for ours, for Litestar's own, and for what nobody foresaw."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from corekit.errors import PREFIX, Invalid, NotFound, Problem, TooLarge, Unauthenticated
from corekit.watch.logs import get_logger

_OURS: Mapping[int, type[Problem]] = {401: Unauthenticated, 404: NotFound, 413: TooLarge}
_MEDIA_TYPE = "application/problem+json"


def answer(problem: Problem, request_id: str = "") -> Response[bytes]:
    """Write a problem document."""
    body = problem.body() | ({"request_id": request_id} if request_id and problem.status >= 500 else {})  # noqa: PLR2004
    return Response(
        msgspec.json.encode(body), status_code=problem.status, media_type=_MEDIA_TYPE, headers=problem.headers
    )


def on_problem(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    """Answer a problem of ours; what is our own fault is logged, with what lies behind it."""
    if problem.status >= 500:  # noqa: PLR2004
        get_logger("corekit.web").warning(
            "request_failed",
            exc_info=problem.__cause__,
            request_id=request_id(request),
            route=request.scope["path"],
            error=problem.slug,
        )
    return answer(problem, request_id(request))


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer Litestar's own refusals in the same shape."""
    if isinstance(error, ValidationException):
        return answer(_invalid(error))
    if error.status_code >= 500:  # noqa: PLR2004
        return on_exception(request, error)
    if known := _OURS.get(error.status_code):
        return answer(known(), request_id(request))
    problem = Problem(error.detail, headers=error.headers)
    body = problem.body() | {"type": f"{PREFIX}http-{error.status_code}", "title": error.detail}
    return Response(
        msgspec.json.encode(body | {"status": error.status_code, "code": 107}),
        status_code=error.status_code,
        media_type=_MEDIA_TYPE,
        headers=error.headers,
    )


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault: the details go to the log, the request id to the client."""
    get_logger("corekit.web").exception(
        "request_failed", request_id=request_id(request), route=request.scope["path"], error=type(error).__name__
    )
    return answer(Problem(), request_id(request))


def request_id(request: Request[Any, Any, Any]) -> str:
    """Return the id that logs and answers of this request share."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _invalid(error: ValidationException) -> Invalid:
    """Name the first field and what is allowed there."""
    details = error.extra if isinstance(error.extra, list) else []
    first = details[0] if details and isinstance(details[0], dict) else {}
    key = str(first.get("key", ""))
    source = str(first.get("source", "body"))
    pointer = "/" + key.replace(".", "/") if source == "body" and key else key
    return Invalid(str(first.get("message", error.detail)), pointer=pointer or None)


HANDLERS: dict[int | type[Exception], Any] = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    Exception: on_exception,
}
