"""What people at a desk do with payments, over HTTP."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from corekit.contracts.payments import Operation, Payment, Verdict
from corekit.contracts.payments.objects import NO_NUL
from corekit.web import Ctx, Key, Who, idempotent, requires
from corekit_payments.desk import Desk
from corekit_payments.ledger import LedgerAccount, LedgerQuery, account
from corekit_payments.ledger.rows import READ_LEDGER
from corekit_payments.requesting import Requests
from corekit_payments.reviewing import REASON_MAX, REASON_MIN
from corekit_payments.routes.payments import question

Reason = Annotated[str, msgspec.Meta(min_length=REASON_MIN, max_length=REASON_MAX, pattern=NO_NUL)]


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what is held back may be sent, and why."""

    verdict: Verdict
    reason: Reason


class DeskRoutes(Controller):
    """Reviews, look-ups and the ledger."""

    path = "/payments/v1"
    tags = ["payments"]
    guards = [requires()]

    @post(
        "/payments/{payment:str}/review",
        operation_id="payment.review",
        guards=[requires(), idempotent()],
        status_code=200,
    )
    async def review(
        self, caller: Who, payment: FromPath[str], data: JSONBody[Review], idempotency_key: Key
    ) -> Response[Payment]:
        """Let what is held back be sent, or refuse it for good; needs `payments:payment:review`."""
        requests = caller.kit.get(Requests)
        taken = await requests.review(caller, idempotency_key, payment, data.verdict, data.reason)
        return Response(taken.shown, status_code=200)

    @post("/operations/{operation:str}/check", operation_id="payment.check", status_code=200)
    async def check(self, caller: Who, operation: FromPath[str]) -> Operation:
        """Ask the provider now what became of an operation, and of disputes; needs `payments:recon:resolve`.

        Nothing is sent by it that could move money.
        """
        return await caller.kit.get(Desk).check(caller, operation)

    @get("/ledger/accounts/{code:str}", operation_id="payment.ledger_account", guards=[requires(READ_LEDGER)])
    async def account(
        self,
        ctx: Ctx,
        code: FromPath[str],
        currency: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> LedgerAccount:
        """Return what an account of the ledger holds, and what was posted to it; needs `payments:ledger:read`."""
        return await account(ctx, code, question(LedgerQuery, currency=currency, limit=limit, cursor=cursor))
