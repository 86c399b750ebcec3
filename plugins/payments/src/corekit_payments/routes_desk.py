"""What people at a desk do with payments, over HTTP."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromPath, JSONBody

from corekit.contracts.payments import Payment, Verdict
from corekit.contracts.payments.objects import NO_NUL
from corekit.web import Key, Who, idempotent, requires
from corekit_payments.requesting import Requests
from corekit_payments.reviewing import REASON_MAX, REASON_MIN

Reason = Annotated[str, msgspec.Meta(min_length=REASON_MIN, max_length=REASON_MAX, pattern=NO_NUL)]


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what is held back may be sent, and why."""

    verdict: Verdict
    reason: Reason


class DeskRoutes(Controller):
    """Reviews."""

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
