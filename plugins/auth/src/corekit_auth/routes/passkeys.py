"""Passkeys: registering them, signing in with them, looking after one's own."""

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from corekit.context import Caller
from corekit.web import Who
from corekit.web.middleware import asker
from corekit_auth.errors import PasskeyDisabled, PasskeyNotFound
from corekit_auth.objects import SessionObject
from corekit_auth.passkeys import CeremonyObject, PasskeyObject
from corekit_auth.purposes import SIGN_IN
from corekit_auth.routes.bodies_passkeys import AuthenticationBody, RegistrationBody, RenameBody, plain
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.sign_in import granted
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService


async def offered(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse where passkeys are off, before anything else is asked."""
    caller, _denied = asker(connection.scope)
    demand_offered(caller)


def demand_offered(caller: Caller) -> None:
    """Refuse where passkeys are off (PasskeyDisabled)."""
    if not caller.kit.get(AuthService).settings.passkeys:
        raise PasskeyDisabled


class PasskeysController(Controller):
    """The routes of passkeys."""

    guards = [offered]

    @post("/passkeys/registration/options", status_code=200, security=[{"bearer": []}])
    async def registration_options(self, request: Asked, caller: Who) -> Response[CeremonyObject]:
        """Ask for a new passkey of who is signed in; the answer may come within five minutes, once."""
        person = signed_in(request, caller)
        return _fresh(await person.kit.get(AuthService).passkeys.begin_registration(person))

    @post("/passkeys/registration/verify", status_code=200, security=[{"bearer": []}])
    async def register(self, request: Asked, caller: Who, data: JSONBody[RegistrationBody]) -> PasskeyObject:
        """Register the passkey that a device has made."""
        person = signed_in(request, caller)
        passkeys = person.kit.get(AuthService).passkeys
        return await passkeys.register(person, data.challenge_id, plain(data.credential))

    @post("/passkeys/authentication/options", status_code=200)
    async def authentication_options(self, caller: Who) -> Response[CeremonyObject]:
        """Ask for whichever passkey a device has; the answer may come within five minutes, once."""
        return _fresh(await caller.kit.get(AuthService).passkeys.begin_sign_in(caller))

    @post("/passkeys/authentication/verify", status_code=200)
    async def sign_in(self, caller: Who, data: JSONBody[AuthenticationBody]) -> Response[SessionObject]:
        """Begin a session with a passkey."""
        passkeys = caller.kit.get(AuthService).passkeys
        return granted(await passkeys.sign_in(caller, data.challenge_id, plain(data.credential)))

    @get("/passkeys", security=[{"bearer": []}])
    async def mine(self, request: Asked, caller: Who) -> list[PasskeyObject]:
        """List one's own passkeys."""
        person = signed_in(request, caller)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).passkeys.mine(ctx)

    @patch("/passkeys/{passkey_id:str}", security=[{"bearer": []}])
    async def rename(
        self, request: Asked, caller: Who, passkey_id: FromPath[str], data: JSONBody[RenameBody]
    ) -> PasskeyObject:
        """Give a passkey another name."""
        person = signed_in(request, caller)
        async with person.system(SIGN_IN).begin() as ctx:
            return await ctx.get(AuthService).passkeys.rename(ctx, _id(passkey_id), data.friendly_name)

    @delete("/passkeys/{passkey_id:str}", status_code=204, security=[{"bearer": []}])
    async def remove(self, request: Asked, caller: Who, passkey_id: FromPath[str]) -> None:
        """Take a passkey away; it signs nobody in any more."""
        person = signed_in(request, caller)
        async with person.system(SIGN_IN).begin() as ctx:
            await ctx.get(AuthService).passkeys.remove(ctx, _id(passkey_id))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PasskeyNotFound from None


def _fresh(ceremony: CeremonyObject) -> Response[CeremonyObject]:
    return Response(ceremony, headers={"Cache-Control": "no-store"})
