"""Routes that the protocol has and this server has switched off: each answers so, and none with a bare 404."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, route
from litestar.enums import HttpMethod

from corekit.web import Who
from corekit_auth.errors import Code, FeatureDisabled, NotAdmin
from corekit_auth.routes.envelope import Asked, refusal
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService
from corekit_auth.settings import AuthSettings

Answer = tuple[int, Code, str]

GRANTS: dict[str, Answer] = {
    "pkce": (404, Code.FLOW_STATE_NOT_FOUND, "invalid flow state, no valid flow state found"),
    "id_token": (400, Code.PROVIDER_DISABLED, "Provider is not enabled"),
    "web3": (422, Code.WEB3_PROVIDER_DISABLED, "Web3 provider is disabled"),
}
_OFF: Answer = (404, Code.FEATURE_DISABLED, FeatureDisabled.title)
_NO_PROVIDER: Answer = (400, Code.VALIDATION_FAILED, "provider: Unsupported provider: provider is not enabled")
_NO_LINKING: Answer = (404, Code.MANUAL_LINKING_DISABLED, "Manual linking is disabled")
_DISABLED: dict[str, Answer] = {
    "/otp": (422, Code.OTP_DISABLED, "Signups not allowed for otp"),
    "/authorize": _NO_PROVIDER,
    "/user/identities": _NO_LINKING,
    "/factors": (422, Code.MFA_TOTP_ENROLL_NOT_ENABLED, "MFA enroll is disabled for TOTP"),
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
        "/passkeys",
    ],
    (HttpMethod.POST,): [
        "/signup",
        "/token",
        "/logout",
        "/passkeys/registration/options",
        "/passkeys/registration/verify",
        "/passkeys/authentication/options",
        "/passkeys/authentication/verify",
    ],
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
    # At the root of a server, the rest belongs to others.
    return [*rest, everything_else] if settings.prefix else rest


async def wrong_method(request: Asked) -> Response[bytes]:
    """Refuse a method that the path does not have."""
    return refusal(request, 405, Code.UNKNOWN, f"{request.method} is not allowed here")


@route(["/", "/{path:path}"], http_method=_METHODS, include_in_schema=False, status_code=404)
async def everything_else(request: Asked, caller: Who) -> Response[bytes]:
    """Say what is switched off; administrators' routes first ask who is there."""
    path = "/" + str(request.path_params.get("path", "")).strip("/")
    if _within(path, _ADMIN):
        actor = signed_in(request, caller).actor
        admins = caller.kit.get(AuthService).settings.admin_roles
        if actor.proof is None or actor.proof.role not in admins:
            raise NotAdmin
    answer = next((answer for prefix, answer in _DISABLED.items() if _within(path, [prefix])), _OFF)
    return refusal(request, *answer)


def _within(path: str, prefixes: Sequence[str]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
