"""Administrators' route to what happened."""

from litestar import Controller, Response, get

from corekit.web import Who
from corekit_auth.audit_log import AuditItem, page_of_audit
from corekit_auth.routes.admins import admin
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.paging import paging


class AdminAuditController(Controller):
    """The security events of all accounts."""

    path = "/admin/audit"
    security = [{"bearer": []}]

    @get("/")
    async def entries(self, request: Asked, caller: Who) -> Response[list[AuditItem]]:
        """List them, newest first: `page`, `per_page`, `query=author:|action:|type:`."""
        person = await admin(request, caller)
        given = dict(request.query_params.items())
        async with person.begin(readonly=True) as ctx:
            found = await page_of_audit(ctx, given)
        numbers = {"page": found.page, "per_page": found.per_page, "total": found.total}
        return Response(found.entries, headers=paging(request.url.path, given, **numbers))
