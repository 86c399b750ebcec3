"""Away to a provider and back, and the identities of one's own account."""

import re
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath

from corekit.web import Who
from corekit_auth.errands import Back, Wish
from corekit_auth.errors import IdentityNotFound, ValidationFailed
from corekit_auth.purposes import SIGN_IN
from corekit_auth.routes.bodies import Challenge
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService
from corekit_auth.settings import AuthSettings

_OURS = frozenset(("provider", "redirect_to", "scopes", "invite_token", "skip_http_redirect", "flow_type", "apikey"))
# What is ours to say to the provider, or would make it read the request elsewhere (RFC 6749, 7521, 9101).
_RESERVED = frozenset(
    (
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "registration",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    )
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_BACK = ("code", "state", "error", "iss", "user")
_EXTRA_MAX, _VALUE_MAX, _SCOPES_MAX, _CODE_MAX = 10, 512, 1024, 4096


class SocialController(Controller):
    """What a browser walks through; a provider's page lies between the first route and the second."""

    @get("/authorize")
    async def authorize(self, request: Asked, caller: Who) -> Response[None]:
        """Send somebody to a provider."""
        service = caller.kit.get(AuthService)
        return _away(await service.social.start(caller, _wish(request, service.settings)))

    @get("/callback")
    async def callback(self, request: Asked, caller: Who) -> Response[None]:
        """Take somebody back from a provider."""
        return await _back(caller, dict(request.query_params))

    @post("/callback", status_code=302)
    async def posted_callback(self, request: Asked, caller: Who) -> Response[None]:
        """Take somebody back from a provider that posts, as Apple does."""
        form = await request.form()
        return await _back(caller, {key: value for key, value in form.items() if isinstance(value, str)})


class IdentitiesController(Controller):
    """The ways in which one's own account is known."""

    security = [{"bearer": []}]

    @get("/user/identities/authorize")
    async def authorize(self, request: Asked, caller: Who) -> Response[dict[str, str]] | Response[None]:
        """Send somebody to a provider whose identity they add to their account."""
        service = caller.kit.get(AuthService)
        service.social.demand_linking()
        url = await service.social.start_link(signed_in(request, caller), _wish(request, service.settings))
        skip = request.query_params.get("skip_http_redirect", "").lower() in {"true", "1"}
        return Response({"url": url}, headers={"Cache-Control": "no-store"}) if skip else _away(url)

    @delete("/user/identities/{identity_id:str}", status_code=200)
    async def unlink(self, request: Asked, caller: Who, identity_id: FromPath[str]) -> dict[str, str]:
        """Remove an identity from the own account."""
        caller.kit.get(AuthService).social.demand_linking()
        person = signed_in(request, caller)
        try:
            wanted = UUID(identity_id)
        except ValueError:
            raise IdentityNotFound("identity_id: not an id") from None
        async with person.system(SIGN_IN).begin() as ctx:
            await ctx.get(AuthService).social.unlink(ctx, wanted)
        return {}


def _wish(request: Asked, settings: AuthSettings) -> Wish:
    """Read where somebody wants to go; what the protocol reserves is left out, the rest is the provider's."""
    asked = dict(request.query_params)
    if not asked.get("provider"):
        raise ValidationFailed("provider: Unsupported provider: missing provider name")
    challenge = Challenge(
        code_challenge=asked.get("code_challenge") or None,
        code_challenge_method=asked.get("code_challenge_method") or None,
    )
    pkce = challenge.pkce(settings)
    extra = {key: value for key, value in asked.items() if key not in _OURS | _RESERVED}
    if len(extra) > _EXTRA_MAX or any(
        not _NAME.fullmatch(key) or len(value) > _VALUE_MAX for key, value in extra.items()
    ):
        raise ValidationFailed(f"query: at most {_EXTRA_MAX} parameters for the provider, of {_VALUE_MAX} characters")
    scopes = asked.get("scopes", "").replace(",", " ").split()
    if len(asked.get("scopes", "")) > _SCOPES_MAX or not all(_SCOPE.fullmatch(one) for one in scopes):
        raise ValidationFailed(f"scopes: names with blanks between, at most {_SCOPES_MAX} characters")
    return Wish(
        provider=asked["provider"],
        redirect_to=asked.get("redirect_to"),
        scopes=scopes,
        pkce=pkce,
        extra=extra,
    )


async def _back(caller: Who, said: dict[str, str]) -> Response[None]:
    if any(len(said.get(key, "")) > _CODE_MAX for key in _BACK):
        raise ValidationFailed(f"{', '.join(_BACK)}: at most {_CODE_MAX} characters")
    back = Back(**{key: said.get(key, "") for key in _BACK})
    return _away(await caller.kit.get(AuthService).social.callback(caller, back))


def _away(url: str) -> Response[None]:
    """Send the browser on; the address holds secrets, so no page that it leaves for learns it."""
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(None, status_code=302, headers=headers)
