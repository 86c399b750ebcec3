"""Administrators' routes: the accounts of others."""

from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.exceptions import ClientException
from litestar.params import FromPath, JSONBody

from corekit.web import Who
from corekit_auth.drafts import AccountDraft, account_id
from corekit_auth.errors import ValidationFailed
from corekit_auth.listing import Query
from corekit_auth.objects import UserObject
from corekit_auth.routes.admins import admin
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.paging import paging
from corekit_auth.service import AuthService


class UserList(msgspec.Struct, frozen=True):
    """A page of accounts; the headers say which other pages there are."""

    users: list[UserObject]
    aud: str


class Deletion(msgspec.Struct, frozen=True):
    """How to delete an account."""

    should_soft_delete: bool | None = None


class Limit(msgspec.Struct, frozen=True):
    """`count` requests in `period` seconds, of which `burst` at once, for each of its kind."""

    name: str
    kind: str
    count: int
    period: float
    burst: int


class AdminController(Controller):
    """The accounts of others, for administrators and services."""

    path = "/admin"
    security = [{"bearer": []}]

    @get("/users")
    async def users(self, request: Asked, caller: Who) -> Response[UserList]:
        """List accounts: `page`, `per_page`, `sort=created_at asc|desc`, `filter`."""
        person = await admin(request, caller)
        given = dict(request.query_params.items())
        query = Query.read(given)
        async with person.begin(readonly=True) as ctx:
            service = ctx.get(AuthService)
            page = await service.admin.users(ctx, query)
        numbers = {"page": query.page, "per_page": query.per_page, "total": page.total}
        headers = paging(request.url.path, given, **numbers)
        return Response(UserList(page.users, service.settings.aud), headers=headers)

    @post("/users", status_code=200)
    async def create(self, request: Asked, caller: Who, data: JSONBody[AccountDraft]) -> UserObject:
        """Make an account; nothing is sent to it."""
        person = await admin(request, caller)
        return await person.kit.get(AuthService).admin.create_user(person, data)

    @get("/users/{user_id:str}")
    async def user(self, request: Asked, caller: Who, user_id: FromPath[str]) -> UserObject:
        """Return an account."""
        person = await admin(request, caller)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).admin.user(ctx, account_id(user_id, "user_id"))

    @put("/users/{user_id:str}")
    async def update(
        self, request: Asked, caller: Who, user_id: FromPath[str], data: JSONBody[AccountDraft]
    ) -> UserObject:
        """Change an account, or ban it."""
        person = await admin(request, caller)
        service = person.kit.get(AuthService)
        return await service.admin.update_user(person, account_id(user_id, "user_id"), data)

    @delete("/users/{user_id:str}", status_code=200)
    async def remove(self, request: Asked, caller: Who, user_id: FromPath[str]) -> dict[str, Any]:
        """Delete an account; with `{"should_soft_delete": true}` a row stays that tells nothing of the person."""
        person = await admin(request, caller)
        soft = await _soft(request)
        async with person.begin() as ctx:
            await ctx.get(AuthService).admin.delete_user(ctx, account_id(user_id, "user_id"), soft=soft)
        return {}

    @post("/x/users/{user_id:str}/logout", status_code=204)
    async def sign_out(self, request: Asked, caller: Who, user_id: FromPath[str]) -> None:
        """End all sessions of an account."""
        person = await admin(request, caller)
        async with person.begin() as ctx:
            await ctx.get(AuthService).admin.sign_out(ctx, account_id(user_id, "user_id"))

    @get("/x/limits")
    async def limits(self, request: Asked, caller: Who) -> dict[str, list[Limit]]:
        """Return the limits that are in force, as the settings have them."""
        person = await admin(request, caller)
        rules = person.kit.get(AuthService).settings.rules
        return {"limits": [Limit(name, r.kind, r.count, r.period, r.burst) for name, r in rules.items()]}


async def _soft(request: Asked) -> bool:
    """Read the body of a deletion, which clients may leave out."""
    raw = await request.body()
    if not raw:
        return False
    try:
        return bool(msgspec.json.decode(raw, type=Deletion).should_soft_delete)
    except msgspec.ValidationError as error:
        raise ValidationFailed(f"should_soft_delete: {error}") from None
    except msgspec.DecodeError:
        raise ClientException from None  # answered as any body that is no JSON
