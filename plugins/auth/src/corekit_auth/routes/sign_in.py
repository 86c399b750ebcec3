"""Signing up, signing in, going on."""

from litestar import Controller, Response, post
from litestar.params import FromQuery, JSONBody

from corekit.context import Caller
from corekit.web import Who
from corekit_auth.errands import IdToken
from corekit_auth.errors import (
    InvalidCredentials,
    RefreshTokenRequired,
    UnsupportedGrant,
    ValidationFailed,
)
from corekit_auth.objects import Grant, SessionObject, UserObject
from corekit_auth.routes.admins import is_admin
from corekit_auth.routes.bodies import Guarded, SignUpBody, TokenBody, address_of
from corekit_auth.routes.envelope import Asked, refusal
from corekit_auth.routes.locale import in_locale
from corekit_auth.routes.others import GRANTS
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService


class SignInController(Controller):
    """The routes that hand out sessions."""

    @post("/signup", status_code=200)
    async def sign_up(
        self, request: Asked, caller: Who, data: JSONBody[SignUpBody], redirect_to: FromQuery[str] = ""
    ) -> Response[SessionObject] | Response[UserObject]:
        """Make an account: with its first session, or, where its address is to be confirmed, without one."""
        email = address_of(data.email, data.phone)
        service = caller.kit.get(AuthService)
        await captcha(request, caller, data)
        if email is None:
            return granted(await service.anonymous.sign_up(caller, data.data or {}))
        if not data.password:
            raise ValidationFailed("password: Signup requires a valid password")
        made = await service.sign_up_with_password(
            in_locale(request, caller),
            email,
            data.password,
            data.data or {},
            pkce=data.pkce(service.settings),
            redirect_to=redirect_to,
        )
        return granted(made) if isinstance(made, Grant) else Response(made, headers={"Cache-Control": "no-store"})

    @post("/token", status_code=200)
    async def token(
        self, request: Asked, caller: Who, data: JSONBody[TokenBody], grant_type: FromQuery[str] = ""
    ) -> Response[SessionObject] | Response[bytes]:
        """Begin a session with a password (`grant_type=password`), or go on with one (`refresh_token`)."""
        if grant_type == "password":
            await captcha(request, caller, data)
            return granted(await _sign_in(caller, data))
        if grant_type == "refresh_token":
            if not data.refresh_token:
                raise RefreshTokenRequired
            return granted(await caller.kit.get(AuthService).grant_by_refresh(caller, data.refresh_token))
        if grant_type == "pkce":
            if not data.auth_code or not data.code_verifier:
                raise ValidationFailed("auth_code, code_verifier: both are required")
            one_time = caller.kit.get(AuthService).one_time
            return granted(await one_time.exchange(caller, data.auth_code, data.code_verifier))
        if grant_type == "id_token":
            return granted(await _by_id_token(request, caller, data))
        if grant_type in GRANTS:
            return refusal(request, *GRANTS[grant_type])
        raise UnsupportedGrant


async def captcha(request: Asked, caller: Caller, data: Guarded) -> None:
    """Ask for the captcha, where it is on; a service that shows its key needs none (CaptchaFailed)."""
    service = caller.kit.get(AuthService)
    if service.settings.captcha and not await is_admin(request, caller):
        await service.captcha.demand(caller, data.captcha)


async def _sign_in(caller: Caller, data: TokenBody) -> Grant:
    email = address_of(data.email, data.phone)
    if email is None:
        raise ValidationFailed("email, phone: missing email or phone")
    if not data.password:
        raise InvalidCredentials
    return await caller.kit.get(AuthService).grant_by_password(caller, email, data.password)


async def _by_id_token(request: Asked, caller: Caller, data: TokenBody) -> Grant:
    if not data.id_token:
        raise ValidationFailed("id_token: required")
    if not data.provider and not (data.client_id and data.issuer):
        raise ValidationFailed("provider: provider or client_id and issuer required")
    given = IdToken(
        id_token=data.id_token,
        provider=data.provider or "",
        access_token=data.access_token or "",
        nonce=data.nonce or "",
        client_id=data.client_id or "",
        issuer=data.issuer or "",
    )
    link = bool(data.link_identity)
    who = signed_in(request, caller) if link else caller
    return await caller.kit.get(AuthService).social.by_id_token(who, given, link=link)


def granted(grant: Grant) -> Response[SessionObject]:
    """Answer with a session, and say in headers how its refresh token came about."""
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
