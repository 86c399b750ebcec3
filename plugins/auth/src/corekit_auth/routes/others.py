"""Routes that the protocol has and this server has switched off: each answers so, and none with a bare 404."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, route
from litestar.enums import HttpMethod

from corekit.web import Who
from corekit_auth.errors import Code, FeatureDisabled
from corekit_auth.routes.admins import admin
from corekit_auth.routes.envelope import Asked, refusal
from corekit_auth.service import AuthService
from corekit_auth.settings import AuthSettings

Answer = tuple[int, Code, str]

GRANTS: dict[str, Answer] = {
    "web3": (422, Code.WEB3_PROVIDER_DISABLED, "Web3 provider is disabled"),
}
_OFF: Answer = (404, Code.FEATURE_DISABLED, FeatureDisabled.title)
_DISABLED: dict[str, Answer] = {
    "/sso": (404, Code.SAML_PROVIDER_DISABLED, "SAML 2.0 is disabled"),
}
_ADMIN = ("/admin", "/invite")
_METHODS = (HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE)
_BUILT: dict[tuple[HttpMethod, ...], list[str]] = {
    (HttpMethod.GET,): [
        "/health",
        "/settings",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/reauthenticate",
        "/authorize",
        "/user/identities/authorize",
        "/x/sessions",
        "/x/audit",
        "/x/outbox",
        "/admin/audit",
        "/admin/x/limits",
        "/admin/users/{user_id:str}/factors",
        "/admin/users/{user_id:str}/passkeys",
        "/passkeys",
    ],
    (HttpMethod.POST,): [
        "/signup",
        "/token",
        "/logout",
        "/otp",
        "/magiclink",
        "/recover",
        "/resend",
        "/admin/x/users/{user_id:str}/logout",
        "/admin/generate_link",
        "/invite",
        "/factors",
        "/factors/{factor_id:str}/challenge",
        "/factors/{factor_id:str}/verify",
        "/passkeys/registration/options",
        "/passkeys/registration/verify",
        "/passkeys/authentication/options",
        "/passkeys/authentication/verify",
        "/x/recovery-codes",
        "/x/recovery-codes/verify",
    ],
    (HttpMethod.DELETE,): [
        "/factors/{factor_id:str}",
        "/user/identities/{identity_id:str}",
        "/x/sessions/{session_id:str}",
        "/admin/users/{user_id:str}/passkeys/{passkey_id:str}",
    ],
    (HttpMethod.GET, HttpMethod.POST): ["/admin/users", "/verify", "/callback"],
    (HttpMethod.GET, HttpMethod.PUT, HttpMethod.DELETE): ["/admin/users/{user_id:str}"],
    (HttpMethod.PUT, HttpMethod.DELETE): ["/admin/users/{user_id:str}/factors/{factor_id:str}"],
    (HttpMethod.GET, HttpMethod.PUT): ["/user"],
    (HttpMethod.PATCH, HttpMethod.DELETE): ["/passkeys/{passkey_id:str}"],
}


def others(settings: AuthSettings) -> Sequence[Any]:
    """Make the handlers of everything that is not built, and of wrong methods on what is."""
    rest = [
        route(
            paths,
            http_method=[method for method in _METHODS if method not in built],
            include_in_schema=False,
            status_code=404,
        )(wrong_method)
        for built, paths in _BUILT.items()
    ]
    if not settings.prefix:
        return rest  # at the root of a server, the rest belongs to others
    return [*rest, route(_left(), http_method=_METHODS, include_in_schema=False, status_code=404)(everything_else)]


def _left() -> list[str]:
    """Name what no route answers; a router that went into a path with parameters does not come back for the rest."""
    built = {path for paths in _BUILT.values() for path in paths}
    left = {"/", "/{path:path}"}
    for parts in (path.split("/") for path in built if "{" in path):
        for end in range(2, len(parts) + 1):
            here = "/".join(parts[:end])
            left |= {here} - built
            if not any(path.startswith(here + "/{") for path in built):  # a node has one parameter at most
                left.add(here + "/{path:path}")
    return sorted(left)


async def wrong_method(request: Asked) -> Response[bytes]:
    """Refuse a method that the path does not have."""
    return refusal(request, 405, Code.UNKNOWN, f"{request.method} is not allowed here")


async def everything_else(request: Asked, caller: Who) -> Response[bytes]:
    """Say what is switched off; administrators' routes first ask who is there."""
    prefix = caller.kit.get(AuthService).settings.prefix
    path = "/" + request.url.path.partition(prefix)[2].strip("/")
    if _within(path, _ADMIN):
        await admin(request, caller)
    answer = next((answer for prefix, answer in _DISABLED.items() if _within(path, [prefix])), _OFF)
    return refusal(request, *answer)


def _within(path: str, prefixes: Sequence[str]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
