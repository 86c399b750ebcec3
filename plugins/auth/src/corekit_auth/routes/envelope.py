"""Refusals in GoTrue's two forms: the one before, and the one from `X-Supabase-Api-Version: 2024-01-01` on."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from corekit.errors import Problem
from corekit.watch.logs import get_logger
from corekit.web.problems import undecodable
from corekit_auth.errors import AuthProblem, Code, OverRequestRate, RefreshTokenRequired

Asked = Request[Any, Any, Any]
VERSION_HEADER = "X-Supabase-Api-Version"
CODE_HEADER = "x-sb-error-code"
_VERSION = "2024-01-01"
_FAULT = 500
_BY_STATUS: Mapping[int, Code] = {
    400: Code.BAD_JSON,
    401: Code.NO_AUTHORIZATION,
    404: Code.FEATURE_DISABLED,
    413: Code.REQUEST_ENTITY_TOO_LARGE,
    429: Code.OVER_REQUEST_RATE_LIMIT,
}


def refusal(
    request: Asked,
    status: int,
    code: Code,
    message: str,
    *,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Write a refusal in the form that the client understands."""
    versioned = _versioned(request)
    body: dict[str, Any] = {"code": code, "message": message}
    if not versioned:
        body = {"code": status, "error_code": code, "msg": message}
        if status >= _FAULT:
            body["error_id"] = str(request.scope.get("state", {}).get("request_id", ""))
    echo = {VERSION_HEADER: _VERSION} if versioned else {}
    return _response(status, body | dict(members or {}), {CODE_HEADER: code, **echo, **(headers or {})})


def on_auth_problem(request: Asked, problem: AuthProblem) -> Response[bytes]:
    """Answer a refusal of auth's own."""
    if isinstance(problem, RefreshTokenRequired):
        body = {"error": "invalid_request", "error_description": str(problem)}
        return _response(problem.status, body, {CODE_HEADER: problem.error})
    weak = {key: problem.extensions[key] for key in ("weak_password",) if key in problem.extensions}
    return refusal(request, problem.status, problem.error, str(problem), members=weak, headers=problem.headers)


def on_problem(request: Asked, problem: Problem) -> Response[bytes]:
    """Answer a refusal of the core's, for example of its limits."""
    code = Code.UNEXPECTED_FAILURE if problem.status >= _FAULT else _BY_STATUS.get(problem.status, Code.UNKNOWN)
    message = OverRequestRate.title if code is Code.OVER_REQUEST_RATE_LIMIT else str(problem)
    return refusal(request, problem.status, code, message, headers=problem.headers)


def on_http_exception(request: Asked, error: HTTPException) -> Response[bytes]:
    """Answer what Litestar refuses before a handler runs."""
    if isinstance(error, ValidationException):
        return refusal(request, 400, Code.VALIDATION_FAILED, _field(error))
    if error.status_code >= _FAULT:
        return on_fault(request, error)
    code = _BY_STATUS.get(error.status_code, Code.UNKNOWN)
    message = "Could not parse request body as JSON" if code is Code.BAD_JSON else error.detail
    return refusal(request, error.status_code, code, message, headers=error.headers)


def on_fault(request: Asked, error: Exception) -> Response[bytes]:
    """Answer a fault: the details go to the log, the request id to the client."""
    if undecodable(error):
        return refusal(request, 400, Code.BAD_JSON, "Could not parse request body as JSON: not UTF-8 or too deep")
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    get_logger("corekit.auth").exception(
        "request_failed", request_id=request_id, route=request.scope["path"], error=type(error).__name__
    )
    return refusal(request, _FAULT, Code.UNEXPECTED_FAILURE, "Unexpected failure, please check server logs")


def _versioned(request: Asked) -> bool:
    try:
        return date.fromisoformat(request.headers.get(VERSION_HEADER, "")) >= date.fromisoformat(_VERSION)
    except ValueError:
        return False


def _field(error: ValidationException) -> str:
    details = error.extra if isinstance(error.extra, list) else []
    first = details[0] if details and isinstance(details[0], dict) else {}
    return f"{first['key']}: {first['message']}" if "key" in first else str(first.get("message", error.detail))


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=dict(headers))


HANDLERS: dict[int | type[Exception], Any] = {
    AuthProblem: on_auth_problem,
    Problem: on_problem,
    HTTPException: on_http_exception,
    Exception: on_fault,
}
