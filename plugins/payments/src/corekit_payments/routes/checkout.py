"""The checkout page over HTTP: a link is all that its holder needs, and all that it opens is one payment."""

from typing import Any
from urllib.parse import parse_qsl

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from corekit.contracts.payments import CheckoutLink, Payments
from corekit.web import Who, public, requires
from corekit_payments.checkout.checkout import Checkout
from corekit_payments.checkout.pages import HEADERS, checkout_page, refused_page
from corekit_payments.checkout.refusals import FormStale, PageRefused
from corekit_payments.models import PURPOSE

Incoming = Request[Any, Any, Any]
_FORM_MAX = 4096  # bytes
_FIELDS_MAX = 8


class CheckoutLinkRoutes(Controller):
    """Links for payers."""

    path = "/payments/v1/payments"
    tags = ["payments"]
    guards = [requires()]

    @post("/{payment:str}/checkout-link", operation_id="payment.checkout_link")
    async def link(self, caller: Who, payment: FromPath[str]) -> CheckoutLink:
        """Make a link by which whoever holds it can pay this payment of yours, or cancel it."""
        async with caller.system(PURPOSE).begin() as ctx:
            return await ctx.get(Payments).checkout_link(ctx, payment)


class CheckoutRoutes(Controller):
    """The page and its two forms; each form leads back to the page."""

    path = "/payments/v1/checkout"
    guards = [public("the link is signed, for one payment and a time")]
    include_in_schema = False
    request_max_body_size = _FORM_MAX
    opt = {"bearer": "own"}

    @get("/{token:str}")
    async def page(self, caller: Who, token: FromPath[str]) -> Response[str]:
        """Show the payment."""
        checkout = caller.kit.get(Checkout)
        try:
            sheet = await checkout.show(caller, token)
        except PageRefused as why:
            return refused_page(why)
        return checkout_page(sheet, checkout.merchant, caller.kit.clock.now())

    @post("/{token:str}/confirm")
    async def confirm(self, caller: Who, request: Incoming, token: FromPath[str]) -> Response[str] | Response[None]:
        """Pay by the chosen method."""
        try:
            form = await _form(request)
            await caller.kit.get(Checkout).pay(caller, token, form.get("form", ""), form.get("method", ""))
        except PageRefused as why:
            return refused_page(why)
        return _back(token)

    @post("/{token:str}/cancel")
    async def cancel(self, caller: Who, request: Incoming, token: FromPath[str]) -> Response[str] | Response[None]:
        """Cancel the payment."""
        try:
            form = await _form(request)
            await caller.kit.get(Checkout).cancel(caller, token, form.get("form", ""))
        except PageRefused as why:
            return refused_page(why)
        return _back(token)


async def _form(request: Incoming) -> dict[str, str]:
    """Read `application/x-www-form-urlencoded` (FormStale where it does not read)."""
    try:
        return dict(parse_qsl((await request.body()).decode("ascii"), max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise FormStale from None


def _back(token: str) -> Response[None]:
    return Response(None, status_code=303, headers={"Location": f"/payments/v1/checkout/{token}", **HEADERS})
