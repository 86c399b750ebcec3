"""What differs from a provider's books, over HTTP."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from corekit.contracts.payments.objects import NO_NUL
from corekit.values import Page
from corekit.web import Ctx, Match, Who, conditional, requires, tagged
from corekit_payments.models import PURPOSE, RECONCILE
from corekit_payments.recon.resolving import Action, ItemQuery, ItemStatus, ReconciliationItem, item, items, resolve
from corekit_payments.reviewing import REASON_MAX, REASON_MIN
from corekit_payments.routes.payments import question


class Resolution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done about an item, and why."""

    action: Action
    reason: Annotated[str, msgspec.Meta(min_length=REASON_MIN, max_length=REASON_MAX, pattern=NO_NUL)]


class ReconciliationRoutes(Controller):
    """Reconciliation items; all need `payments:recon:resolve`."""

    path = "/payments/v1/reconciliation/items"
    tags = ["payments"]
    guards = [requires(RECONCILE)]

    @get("/", operation_id="payment.recon_items")
    async def list(
        self,
        ctx: Ctx,
        status: FromQuery[ItemStatus | None] = None,
        kind: FromQuery[str | None] = None,
        provider: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ReconciliationItem]:
        """List them, the newest first; `parked` ones may still explain themselves, and nobody was told."""
        query = question(ItemQuery, status=status, kind=kind, provider=provider, limit=limit, cursor=cursor)
        return await items(ctx, query)

    @get("/{item_id:str}", operation_id="payment.recon_item")
    async def one(self, ctx: Ctx, item_id: FromPath[str]) -> Response[ReconciliationItem]:
        """Return one; its ETag is its version."""
        return _tagged(await item(ctx, item_id))

    @post(
        "/{item_id:str}/resolve",
        operation_id="payment.recon_resolve",
        guards=[requires(RECONCILE), conditional()],
        status_code=200,
    )
    async def resolve(
        self, caller: Who, item_id: FromPath[str], data: JSONBody[Resolution], if_match: Match
    ) -> Response[ReconciliationItem]:
        """Resolve one: `close` books nothing, `refund` gives a surplus back, `reverse` books a refund that came back.

        The same again answers the same.
        """
        async with caller.system(PURPOSE).begin() as ctx:
            done = await resolve(ctx, item_id, data.action, data.reason, if_match)
        return _tagged(done)


def _tagged(shown: ReconciliationItem) -> Response[ReconciliationItem]:
    return Response(shown, headers=tagged(shown.version))
