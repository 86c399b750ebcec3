"""What happened to one's own account."""

from litestar import Controller, get

from corekit.web import Who
from corekit_auth.own_events import EventPage
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService


class EventController(Controller):
    """One's own security events."""

    path = "/x/audit"
    security = [{"bearer": []}]

    @get("/")
    async def page(self, request: Asked, caller: Who) -> EventPage:
        """List them, newest first: `limit`, `cursor`."""
        person = signed_in(request, caller)
        async with person.begin(readonly=True) as ctx:
            return await ctx.get(AuthService).own_events.page(ctx, dict(request.query_params.items()))
