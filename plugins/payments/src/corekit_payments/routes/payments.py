"""Payments over HTTP: what moves money takes an `Idempotency-Key`."""

import builtins
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody

from corekit.contracts.payments import (
    Method,
    NewPayment,
    Operation,
    Payment,
    PaymentMethod,
    PaymentQuery,
    Payments,
    PaymentStatus,
    Refund,
)
from corekit.contracts.payments.objects import NO_NUL, ReturnUrl, Text
from corekit.errors import Invalid
from corekit.values import Money, Page
from corekit.web import Ctx, Key, Match, Who, conditional, idempotent, requires, tagged
from corekit_payments.editing import PaymentChanges, edit
from corekit_payments.models import PURPOSE
from corekit_payments.requesting import Requests, Taken

T = TypeVar("T")
MOVES = [requires(), idempotent()]
IN_HAND = "Taken, and still in hand: send the same again later, or read the payment"
PAYMENT_IN_HAND = {202: ResponseSpec(Payment, description=IN_HAND)}
REFUND_IN_HAND = {202: ResponseSpec(Refund, description=IN_HAND)}


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to pay, and where the payer is to be sent back to."""

    method: Method
    return_url: ReturnUrl | None = None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text = ""


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much, all that is left unless said; a `final` one releases the rest."""

    amount: Money | None = None
    final: bool = True


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much, all that is left unless said, and why."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=NO_NUL)]
    amount: Money | None = None


class PaymentRoutes(Controller):
    """Payments, and what is asked of providers for them."""

    path = "/payments/v1/payments"
    tags = ["payments"]
    guards = [requires()]

    @post("/", operation_id="payment.create", guards=MOVES, responses=PAYMENT_IN_HAND)
    async def create(self, caller: Who, data: JSONBody[NewPayment], idempotency_key: Key) -> Response[Payment]:
        """Create a payment; with `confirm` and a `method`, pay it at once."""
        return _answer(await caller.kit.get(Requests).create(caller, idempotency_key, data), 201)

    @get("/", operation_id="payment.list")
    async def list(
        self,
        ctx: Ctx,
        status: FromQuery[PaymentStatus | None] = None,
        provider: FromQuery[str | None] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        limit: FromQuery[int] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Page[Payment]:
        """List the payments that you may see, the newest first; `since` and `until` are times of creation."""
        given = {"status": status, "provider": provider, "since": since, "until": until}
        query = question(PaymentQuery, **given, limit=limit, cursor=cursor)
        return await ctx.get(Payments).list(ctx, query)

    @get("/{payment:str}", operation_id="payment.get")
    async def payment(self, ctx: Ctx, payment: FromPath[str]) -> Response[Payment]:
        """Return a payment that you may see; its ETag is its version."""
        return _tagged(await ctx.get(Payments).get(ctx, payment))

    @patch("/{payment:str}", operation_id="payment.edit", guards=[requires(), conditional()])
    async def edit(
        self, caller: Who, payment: FromPath[str], data: JSONBody[PaymentChanges], if_match: Match
    ) -> Response[Payment]:
        """Describe a payment of yours otherwise; `metadata` takes the place of all there was."""
        async with caller.system(PURPOSE).begin() as ctx:
            changed = await edit(ctx, payment, data, if_match)
        return _tagged(changed)

    @get("/{payment:str}/operations", operation_id="payment.operations")
    async def operations(self, ctx: Ctx, payment: FromPath[str]) -> builtins.list[Operation]:
        """List what was asked of providers for a payment, in its order."""
        return await ctx.get(Payments).operations(ctx, payment)

    @post(
        "/{payment:str}/confirm",
        operation_id="payment.confirm",
        guards=MOVES,
        status_code=200,
        responses=PAYMENT_IN_HAND,
    )
    async def confirm(
        self, caller: Who, payment: FromPath[str], data: JSONBody[Confirmation], idempotency_key: Key
    ) -> Response[Payment]:
        """Pay, or try again by another method."""
        requests = caller.kit.get(Requests)
        return _answer(await requests.confirm(caller, idempotency_key, payment, data.method, data.return_url), 200)

    @post(
        "/{payment:str}/cancel", operation_id="payment.cancel", guards=MOVES, status_code=200, responses=PAYMENT_IN_HAND
    )
    async def cancel(
        self,
        caller: Who,
        payment: FromPath[str],
        idempotency_key: Key,
        data: JSONBody[Cancellation | None] = None,
    ) -> Response[Payment]:
        """Cancel, or have what is held released; money that still arrives is surplus."""
        reason = data.reason if data is not None else ""
        return _answer(await caller.kit.get(Requests).cancel(caller, idempotency_key, payment, reason), 200)

    @post(
        "/{payment:str}/capture",
        operation_id="payment.capture",
        guards=MOVES,
        status_code=200,
        responses=PAYMENT_IN_HAND,
    )
    async def capture(
        self,
        caller: Who,
        payment: FromPath[str],
        idempotency_key: Key,
        data: JSONBody[CaptureRequest | None] = None,
    ) -> Response[Payment]:
        """Take what is held, or a part; needs `payments:payment:capture`."""
        asked = data or CaptureRequest()
        taken = await caller.kit.get(Requests).capture(
            caller, idempotency_key, payment, asked.amount, final=asked.final
        )
        return _answer(taken, 200)

    @post("/{payment:str}/refunds", operation_id="payment.refund", guards=MOVES, responses=REFUND_IN_HAND)
    async def refund(
        self, caller: Who, payment: FromPath[str], data: JSONBody[RefundRequest], idempotency_key: Key
    ) -> Response[Refund]:
        """Give captured money back, or a part; needs `payments:refund:create`."""
        requests = caller.kit.get(Requests)
        return _answer(await requests.refund(caller, idempotency_key, payment, data.amount, data.reason), 201)


class MethodRoutes(Controller):
    """How somebody can pay."""

    path = "/payments/v1/methods"
    tags = ["payments"]
    guards = [requires()]

    @get("/", operation_id="payment.methods")
    async def methods(self, ctx: Ctx, currency: FromQuery[str]) -> list[PaymentMethod]:
        """List the methods by which a currency can be paid now, and what each takes."""
        return await ctx.get(Payments).methods(ctx, currency)


def _answer(taken: Taken[T], status: int) -> Response[T]:
    return Response(taken.shown, status_code=status if taken.done else 202)


def _tagged(payment: Payment) -> Response[Payment]:
    return Response(payment, headers=tagged(payment.version))


def question(type_: type[T], **given: object) -> T:
    """Read a question as strictly as a body (Invalid)."""
    try:
        return msgspec.convert(given, type_)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise Invalid(reason, pointer=f"/{place.rstrip('`')}") from None
