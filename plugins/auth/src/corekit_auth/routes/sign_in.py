"""Signing up, signing in, going on."""

from litestar import Controller, Response, post
from litestar.params import FromQuery, JSONBody

from corekit.context import Caller
from corekit.web import Who
from corekit_auth.errors import (
    AnonymousDisabled,
    InvalidCredentials,
    PhoneDisabled,
    RefreshTokenRequired,
    UnsupportedGrant,
    ValidationFailed,
)
from corekit_auth.objects import Grant, SessionObject
from corekit_auth.routes.bodies import SignUpBody, TokenBody
from corekit_auth.routes.envelope import Asked, refusal
from corekit_auth.routes.others import GRANTS
from corekit_auth.service import AuthService


class SignInController(Controller):
    """The routes that hand out sessions."""

    @post("/signup", status_code=200)
    async def sign_up(self, caller: Who, data: JSONBody[SignUpBody]) -> Response[SessionObject]:
        """Make an account and begin its first session."""
        data.check()
        email = _address(data.email, data.phone)
        if email is None:
            raise AnonymousDisabled
        if not data.password:
            raise ValidationFailed("password: Signup requires a valid password")
        service = caller.kit.get(AuthService)
        return granted(await service.grant_by_sign_up(caller, email, data.password, data.data or {}))

    @post("/token", status_code=200)
    async def token(
        self, request: Asked, caller: Who, data: JSONBody[TokenBody], grant_type: FromQuery[str] = ""
    ) -> Response[SessionObject] | Response[bytes]:
        """Begin a session with a password (`grant_type=password`), or go on with one (`refresh_token`)."""
        if grant_type == "password":
            return granted(await _sign_in(caller, data))
        if grant_type == "refresh_token":
            if not data.refresh_token:
                raise RefreshTokenRequired
            return granted(await caller.kit.get(AuthService).grant_by_refresh(caller, data.refresh_token))
        if grant_type in GRANTS:
            return refusal(request, *GRANTS[grant_type])
        raise UnsupportedGrant


async def _sign_in(caller: Caller, data: TokenBody) -> Grant:
    email = _address(data.email, data.phone)
    if email is None:
        raise ValidationFailed("email, phone: missing email or phone")
    if not data.password:
        raise InvalidCredentials
    return await caller.kit.get(AuthService).grant_by_password(caller, email, data.password)


def _address(email: str | None, phone: str | None) -> str | None:
    if email and phone:
        raise ValidationFailed("email, phone: only an email address or phone number should be provided")
    if phone:
        raise PhoneDisabled
    return email or None


def granted(grant: Grant) -> Response[SessionObject]:
    """Hand a session out, telling of it in headers too."""
    headers = {
        "sb-auth-user-id": str(grant.session.user.id),
        "sb-auth-session-id": str(grant.session_id),
        "sb-auth-refresh-token-counter": str(grant.counter),
        "sb-auth-refresh-token-rotated": str(grant.rotated).lower(),
        "sb-auth-refresh-token-reuse": str(bool(grant.reuse)).lower(),
        "Cache-Control": "no-store",
    }
    if grant.reuse:
        headers["sb-auth-refresh-token-reuse-cause"] = grant.reuse
    return Response(grant.session, headers=headers)
