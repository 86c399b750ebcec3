"""The address at which a sign-in ends that went through other pages: with a code, with tokens, or with what failed."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from corekit.errors import Problem
from corekit_auth.errors import AuthProblem, BadOauthState, Code
from corekit_auth.objects import SessionObject

_WORD = re.compile(r"[a-z_]{1,64}")
_FAULT = 500
_TEXT_MAX = 200


def with_query(address: str, values: Mapping[str, str]) -> str:
    """Add to the query; what is there stays."""
    parts = urlsplit(address)
    query = "&".join(part for part in (parts.query, urlencode(values)) if part)
    return parts._replace(query=query).geturl()


def with_fragment(address: str, values: Mapping[str, str]) -> str:
    """Put values into the fragment, which no server sees; one that was there goes."""
    return urlsplit(address)._replace(fragment=urlencode(values)).geturl()


def with_session(address: str, session: SessionObject) -> str:
    """Hand a session to the page, as the implicit flow of the clients reads it."""
    values = {
        "access_token": session.access_token,
        "expires_at": str(session.expires_at),
        "expires_in": str(session.expires_in),
        "refresh_token": session.refresh_token,
        "sb": "",
        "token_type": session.token_type,
    }
    if isinstance(session.provider_token, str):
        values["provider_token"] = session.provider_token
    if isinstance(session.provider_refresh_token, str):
        values["provider_refresh_token"] = session.provider_refresh_token
    return with_fragment(address, values)


def failure(problem: Problem, said: str = "") -> dict[str, str]:
    """Write a refusal as OAuth does (RFC 6749 §4.1.2.1), with the clients' code; `said` is the provider's own word."""
    error = "server_error" if problem.status >= _FAULT else "access_denied"
    if isinstance(problem, BadOauthState):
        error = "invalid_request"
    if _WORD.fullmatch(said):
        error = said
    code = problem.error if isinstance(problem, AuthProblem) else Code.UNEXPECTED_FAILURE
    return {"error": error, "error_code": str(code), "error_description": str(problem)[:_TEXT_MAX]}
