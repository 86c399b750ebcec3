"""One's own sessions."""

from litestar import Controller, delete, get
from litestar.params import FromPath

from corekit.web import Who
from corekit_auth.drafts import row_id
from corekit_auth.own_sessions import SessionItem
from corekit_auth.purposes import SIGN_IN
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService


class SessionController(Controller):
    """Where one is signed in."""

    path = "/x/sessions"
    security = [{"bearer": []}]

    @get("/")
    async def all(self, request: Asked, caller: Who) -> list[SessionItem]:
        """List one's own sessions, newest first."""
        person = signed_in(request, caller)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).own_sessions.all(ctx)

    @delete("/{session_id:str}", status_code=204)
    async def end(self, request: Asked, caller: Who, session_id: FromPath[str]) -> None:
        """End one of them, also the one that asks."""
        person = signed_in(request, caller)
        async with person.system(SIGN_IN).begin() as ctx:
            await ctx.get(AuthService).own_sessions.end(ctx, row_id(session_id, "session_id"))
