"""Administrators' routes: the second factors and passkeys of others."""

import msgspec
from litestar import Controller, delete, get, put
from litestar.params import FromPath, JSONBody

from corekit.web import Who
from corekit_auth.admin_factors import FactorItem, PasskeyItem
from corekit_auth.drafts import account_id, row_id
from corekit_auth.routes.admins import admin
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.passkeys import demand_offered
from corekit_auth.service import AuthService


class FactorBody(msgspec.Struct, frozen=True, kw_only=True):
    """Another name for a second factor."""

    friendly_name: str


class AdminFactorController(Controller):
    """What an account signs in with beside its password."""

    path = "/admin/users/{user_id:str}"
    security = [{"bearer": []}]

    @get("/factors")
    async def factors(self, request: Asked, caller: Who, user_id: FromPath[str]) -> list[FactorItem]:
        """List second factors."""
        person = await admin(request, caller)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).admin_factors.factors(ctx, account_id(user_id, "user_id"))

    @put("/factors/{factor_id:str}")
    async def rename(
        self, request: Asked, caller: Who, user_id: FromPath[str], factor_id: FromPath[str], data: JSONBody[FactorBody]
    ) -> FactorItem:
        """Rename a second factor."""
        person = await admin(request, caller)
        user, factor = account_id(user_id, "user_id"), row_id(factor_id, "factor_id")
        async with person.begin() as ctx:
            return await ctx.get(AuthService).admin_factors.rename_factor(ctx, user, factor, data.friendly_name)

    @delete("/factors/{factor_id:str}", status_code=200)
    async def remove(self, request: Asked, caller: Who, user_id: FromPath[str], factor_id: FromPath[str]) -> FactorItem:
        """Take a second factor away."""
        person = await admin(request, caller)
        user, factor = account_id(user_id, "user_id"), row_id(factor_id, "factor_id")
        async with person.begin() as ctx:
            return await ctx.get(AuthService).admin_factors.remove_factor(ctx, user, factor)

    @get("/passkeys")
    async def passkeys(self, request: Asked, caller: Who, user_id: FromPath[str]) -> list[PasskeyItem]:
        """List passkeys."""
        person = await admin(request, caller)
        demand_offered(person)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).admin_factors.passkeys(ctx, account_id(user_id, "user_id"))

    @delete("/passkeys/{passkey_id:str}", status_code=204)
    async def remove_passkey(
        self, request: Asked, caller: Who, user_id: FromPath[str], passkey_id: FromPath[str]
    ) -> None:
        """Take a passkey away."""
        person = await admin(request, caller)
        demand_offered(person)
        user, passkey = account_id(user_id, "user_id"), row_id(passkey_id, "passkey_id")
        async with person.begin() as ctx:
            await ctx.get(AuthService).admin_factors.remove_passkey(ctx, user, passkey)
