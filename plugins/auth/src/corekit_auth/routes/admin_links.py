"""Administrators' routes: invitations, and links that they hand over themselves."""

from typing import Any

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromQuery, JSONBody

from corekit.web import Who
from corekit_auth.generating import LinkDraft, LinkObject
from corekit_auth.objects import UserObject
from corekit_auth.routes.admins import admin
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.locale import in_locale
from corekit_auth.service import AuthService


class InviteBody(msgspec.Struct, frozen=True):
    """Whom to invite; `data` becomes the `user_metadata`."""

    email: str
    data: dict[str, Any] | None = None


class AdminLinkController(Controller):
    """What leads into the accounts of others, for administrators and services."""

    security = [{"bearer": []}]

    @post("/invite", status_code=200)
    async def invite(
        self, request: Asked, caller: Who, data: JSONBody[InviteBody], redirect_to: FromQuery[str] = ""
    ) -> UserObject:
        """Make an account and send its owner an invitation."""
        person = in_locale(request, await admin(request, caller))
        generating = person.kit.get(AuthService).generating
        return await generating.invite(person, data.email, data=data.data, redirect_to=redirect_to)

    @post("/admin/generate_link", status_code=200)
    async def generate(
        self, request: Asked, caller: Who, data: JSONBody[LinkDraft], redirect_to: FromQuery[str] = ""
    ) -> Response[LinkObject]:
        """Make a code and its link; nothing is sent. `redirect_to` may stand in the query or in the body."""
        person = await admin(request, caller)
        draft = msgspec.structs.replace(data, redirect_to=redirect_to or data.redirect_to)
        made = await person.kit.get(AuthService).generating.link(person, draft)
        return Response(made, headers={"Cache-Control": "no-store"})
