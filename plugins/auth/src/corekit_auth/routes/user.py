"""One's own account and sessions."""

from dataclasses import replace
from typing import Annotated, get_args

from litestar import Controller, get, post, put
from litestar.params import FromQuery, JSONBody, QueryParameter

from corekit.context import Caller
from corekit.web import Who
from corekit_auth.accounts import Changes
from corekit_auth.errors import NotAdmin, ValidationFailed
from corekit_auth.objects import UserObject
from corekit_auth.purposes import SIGN_IN
from corekit_auth.routes.bodies import UserBody
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.locale import in_locale
from corekit_auth.service import AuthService, Scope

_SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}


class UserController(Controller):
    """The routes of who is signed in."""

    security = [{"bearer": []}]

    @get("/user")
    async def me(self, request: Asked, caller: Who) -> UserObject:
        """Return the account of who asks."""
        return await caller.kit.get(AuthService).me(signed_in(request, caller))

    @put("/user")
    async def update(
        self, request: Asked, caller: Who, data: JSONBody[UserBody], redirect_to: FromQuery[str] = ""
    ) -> UserObject:
        """Change the account of who asks."""
        person = in_locale(request, signed_in(request, caller))
        pkce = data.pkce(caller.kit.get(AuthService).settings)
        if data.app_metadata is not None:
            raise NotAdmin("app_metadata: User not allowed")
        changes = Changes(
            email=data.email or None,
            phone=data.phone or None,
            password=data.password or None,
            current_password=data.current_password,
            nonce=data.nonce or None,
            data=data.data,
            pkce=pkce,
            redirect_to=redirect_to,
        )
        return await person.kit.get(AuthService).update_user(person, changes)

    @post("/logout", status_code=204)
    async def sign_out(
        self, request: Asked, caller: Who, which: Annotated[str, QueryParameter(name="scope")] = "global"
    ) -> None:
        """End this session (`local`), all of one's own (`global`), or all but this (`others`)."""
        person = signed_in(request, caller)
        if which not in _SCOPES:
            raise ValidationFailed(f"scope: must be one of {', '.join(_SCOPES)}")
        async with person.system(SIGN_IN).begin() as ctx:
            await ctx.get(AuthService).sign_out(ctx, _SCOPES[which])


def signed_in(request: Asked, caller: Caller) -> Caller:
    """Tell who asks, from the bearer (NoAuthorization, BadJwt); whether their session lives is the verb's to ask."""
    return replace(caller, actor=caller.kit.get(AuthService).bearer(bearer_of(request)))


def bearer_of(request: Asked) -> str:
    """Return the bearer token, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
