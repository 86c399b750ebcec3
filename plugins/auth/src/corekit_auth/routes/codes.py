"""Codes and links by mail and SMS: asking for them, using them."""

from urllib.parse import urlencode
from uuid import UUID

from litestar import Controller, Response, get, head, post
from litestar.params import FromQuery, JSONBody

from corekit.context import Caller
from corekit.errors import Problem
from corekit.web import Who
from corekit_auth.errors import AuthProblem, Code, ValidationFailed
from corekit_auth.objects import SessionObject
from corekit_auth.one_time import HALF, Followed
from corekit_auth.phones import is_phone
from corekit_auth.routes.bodies import OtpBody, ResendBody, VerifyBody, demanded
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.locale import in_locale
from corekit_auth.routes.sign_in import captcha, granted
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService

_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_PAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_BAD_REQUEST, _FAULT = 400, 500


class CodesController(Controller):
    """What is sent by mail, and what comes back of it."""

    @post(["/otp", "/magiclink"], status_code=200)
    async def otp(
        self, request: Asked, caller: Who, data: JSONBody[OtpBody], redirect_to: FromQuery[str] = ""
    ) -> dict[str, str]:
        """Send a code and link with which one signs in."""
        service, route = caller.kit.get(AuthService), request.url.path.rpartition("/")[2]
        await captcha(request, caller, data)
        address = demanded(data.email, data.phone)
        message = await service.one_time.otp(
            in_locale(request, caller),
            address,
            create_user=data.create_user,
            data=data.data,
            pkce=data.pkce(service.settings),
            redirect_to=redirect_to,
            route=route,
        )
        return _named(address, message)

    @post("/recover", status_code=200)
    async def recover(
        self, request: Asked, caller: Who, data: JSONBody[OtpBody], redirect_to: FromQuery[str] = ""
    ) -> dict[str, str]:
        """Send a code and link with which one sets a new password."""
        service, email = caller.kit.get(AuthService), demanded(data.email, data.phone)
        await captcha(request, caller, data)
        pkce = data.pkce(service.settings)
        await service.one_time.recover(in_locale(request, caller), email, pkce=pkce, redirect_to=redirect_to)
        return {}

    @post("/resend", status_code=200)
    async def resend(
        self, request: Asked, caller: Who, data: JSONBody[ResendBody], redirect_to: FromQuery[str] = ""
    ) -> dict[str, str]:
        """Send a confirmation once more."""
        one_time, address = caller.kit.get(AuthService).one_time, demanded(data.email, data.phone)
        await captcha(request, caller, data)
        message = await one_time.resend(in_locale(request, caller), data.type, address, redirect_to=redirect_to)
        return _named(address, message)

    @get("/reauthenticate", opt={"writes": True}, security=[{"bearer": []}])
    async def reauthenticate(self, request: Asked, caller: Who) -> dict[str, str]:
        """Send who is signed in a code that stands for a fresh sign-in."""
        person = in_locale(request, signed_in(request, caller))
        return _named(*await person.kit.get(AuthService).one_time.reauthenticate(person))

    @post("/verify", status_code=200)
    async def verify(
        self, caller: Who, data: JSONBody[VerifyBody]
    ) -> Response[SessionObject] | Response[dict[str, str]]:
        """Use a code: `{type, token, email}`, or `{type, token_hash}`."""
        if bool(data.token) == bool(data.token_hash):
            raise ValidationFailed("token, token_hash: exactly one of them")
        if data.token_hash and (data.email or data.phone):
            raise ValidationFailed("email, phone: only with token; token_hash stands for itself")
        address = demanded(data.email, data.phone) if data.token else ""
        one_time = caller.kit.get(AuthService).one_time
        grant = await one_time.verify(
            caller, data.type, address=address, token=data.token or "", token_hash=data.token_hash or ""
        )
        return granted(grant) if grant else Response({"code": "200", "msg": HALF}, headers=_QUIET)

    @get("/verify", opt={"writes": True}, include_in_schema=True)
    async def follow(
        self,
        request: Asked,
        caller: Who,
        token: FromQuery[str] = "",
        type: FromQuery[str] = "",  # noqa: A002  # the protocol's name
        redirect_to: FromQuery[str] = "",
        confirmed: FromQuery[str] = "",
    ) -> Response[str] | Response[None]:
        """Use a link, and lead on to the application: with tokens in the fragment, or with a code for its verifier."""
        service = caller.kit.get(AuthService)
        if service.settings.verify_page and not confirmed and token:
            values = {"token": token, "type": type, "redirect_to": redirect_to, "site_url": service.settings.site_url}
            page = service.one_time.mails.page(in_locale(request, caller).locale, values)
            return Response(page, media_type="text/html", headers=_QUIET | _PAGE)
        try:
            followed = await service.one_time.follow(caller, type, token, redirect_to)
        except Problem as problem:
            return _lead(_where(caller, redirect_to), fragment=_error(problem))
        return _onwards(followed)

    @head("/verify")
    async def look(self) -> None:
        """Answer those who look a link up before its owner does; nothing is used."""


def _named(address: str, message: UUID) -> dict[str, str]:
    """Name an SMS that was asked for, whether one goes out or not; a mail has no name on the wire."""
    return {"message_id": str(message)} if is_phone(address) else {}


def _where(caller: Caller, redirect_to: str) -> str:
    return caller.kit.get(AuthService).parts.redirects.allowed(redirect_to)


def _onwards(followed: Followed) -> Response[None]:
    if followed.auth_code:
        return _lead(followed.redirect_to, query={"code": followed.auth_code})
    if followed.grant is None:
        return _lead(followed.redirect_to, fragment={"message": HALF, "sb": ""})
    session = followed.grant.session
    return _lead(
        followed.redirect_to,
        fragment={
            "access_token": session.access_token,
            "expires_at": str(session.expires_at),
            "expires_in": str(session.expires_in),
            "refresh_token": session.refresh_token,
            "sb": "",
            "token_type": session.token_type,
            "type": followed.type,
        },
    )


def _error(problem: Problem) -> dict[str, str]:
    code = problem.error if isinstance(problem, AuthProblem) else Code.UNEXPECTED_FAILURE
    said = str(problem)
    if code is Code.OTP_EXPIRED:
        said = "Email link is invalid or has expired"
    error = "server_error" if problem.status >= _FAULT else "access_denied"
    if problem.status == _BAD_REQUEST:
        error = "invalid_request"
    return {"error": error, "error_code": code, "error_description": said, "sb": ""}


def _lead(where: str, *, query: dict[str, str] | None = None, fragment: dict[str, str] | None = None) -> Response[None]:
    """Redirect with See Other; what the address had behind `#` gives way, its query stays."""
    base, _, kept = where.partition("#")
    if query:
        base += ("&" if "?" in base else "?") + urlencode(query)
    end = f"#{urlencode(fragment)}" if fragment else (f"#{kept}" if kept else "")
    return Response(None, status_code=303, headers={"Location": base + end, **_QUIET})
