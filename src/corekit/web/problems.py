"""Problems as HTTP answers: RFC 9457 documents for ours, for Litestar's own, and for what nobody foresaw."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException, ValidationException
from litestar.serialization import decode_json

from corekit.data.faults import is_away, is_refused
from corekit.errors import PREFIX, Forbidden, Invalid, NotFound, Problem, TooLarge, Unauthenticated, Unavailable
from corekit.guard.idempotency import Replay
from corekit.values import choices, trace_id
from corekit.watch.logs import get_logger

_OURS: Mapping[int, type[Problem]] = {401: Unauthenticated, 404: NotFound, 413: TooLarge}
_MEDIA_TYPE = "application/problem+json"
_BODY = "data"  # the argument of a handler that holds the body
REPLAYED = b"idempotent-replayed"
_ECHO = re.compile(r"^(Invalid (?:enum )?value) .*", re.DOTALL)  # what was sent may be a secret, or a card's number
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(.+)`")


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
            route=request.scope.get("path_template", ""),
            error=problem.slug,
        )
    return answer(problem, request_id(request))


def on_replay(_: Request[Any, Any, Any], replay: Replay) -> Response[bytes]:
    """Answer again what was answered under the key before, to the byte."""
    headers = dict(replay.reply.headers)
    media_type = headers.pop("content-type", "")
    headers[REPLAYED.decode().title()] = "true"
    return Response(replay.reply.body, status_code=replay.reply.status, media_type=media_type, headers=headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer Litestar's own refusals in the same shape."""
    if isinstance(error, ValidationException):
        return answer(_invalid(request, error))
    if error.status_code >= 500:  # noqa: PLR2004
        return on_exception(request, error)
    headers = dict(error.headers or {})
    if not request_id(request):  # no route, so no middleware has made one
        headers["X-Request-Id"] = trace_id()
    if known := _OURS.get(error.status_code):
        return answer(known(headers=headers))
    problem = Problem(error.detail)
    phrase = HTTPStatus(error.status_code).phrase if error.status_code in set(HTTPStatus) else "Refused"
    body = problem.body() | {"type": f"{PREFIX}http-{error.status_code}", "title": phrase}
    return Response(
        msgspec.json.encode(body | {"status": error.status_code, "code": 107}),
        status_code=error.status_code,
        media_type=_MEDIA_TYPE,
        headers=headers,
    )


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault: the details go to the log, the request id to the client."""
    if isinstance(error, ExceptionGroup) and isinstance(error.exceptions[0], Problem):
        return on_problem(
            request, error.exceptions[0]
        )  # so Litestar wraps what a context's end says of a cancelled route
    if undecodable(error):
        return on_http_exception(request, ClientException("the body is not JSON in UTF-8, or is nested too deep"))
    fault = _fault(error)
    get_logger("corekit.web").exception(
        "request_failed",
        request_id=request_id(request),
        route=request.scope.get("path_template", ""),
        error=type(error).__name__,
    )
    return answer(fault, request_id(request))


def _fault(error: Exception) -> Problem:
    """Say what a client may know of a fault."""
    if is_away(error):
        return Unavailable("the database does not answer")
    return Forbidden("the database does not let you do this") if is_refused(error) else Problem()


def undecodable(error: Exception) -> bool:
    """Tell whether a body could not be decoded at all: raised in Litestar's decoder, not in anybody's code."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = last.tb_frame.f_globals.get("__name__") if last is not None else ""
    return isinstance(error, RecursionError | UnicodeDecodeError) and where == decode_json.__module__


def request_id(request: Request[Any, Any, Any]) -> str:
    """Return the id that logs and answers of this request share."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _invalid(request: Request[Any, Any, Any], error: ValidationException) -> Invalid:
    """Name the first field and what is allowed there."""
    details = error.extra if isinstance(error.extra, list) else []
    first = details[0] if details and isinstance(details[0], dict) else {}
    key, message = str(first.get("key", "")), str(first.get("message", error.detail))
    message = _ECHO.sub(r"\1", message)
    if first.get("source", "body") != "body":
        return Invalid(message, pointer=key or None)
    if message == f"'{_BODY}'":  # all that Litestar says of a body that is not there
        return Invalid("a JSON body is required")
    path = [part for part in re.split(r"[.\[\]]+", key) if part and key != _BODY]
    if field := _FIELD.match(message):
        path.append(field[1])
    parameter = request.route_handler.parsed_fn_signature.parameters.get(_BODY)
    if parameter is not None and (allowed := choices(parameter.annotation, path)):
        message += f"; allowed: {allowed}"
    return Invalid(message, pointer="".join(f"/{part}" for part in path) or None)


HANDLERS: dict[int | type[Exception], Any] = {
    Problem: on_problem,
    Replay: on_replay,
    HTTPException: on_http_exception,
    Exception: on_exception,
}
