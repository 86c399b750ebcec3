"""UPI over HTTP: what a client can know of an address or an amount before anybody pays."""

from typing import Annotated

import msgspec
from litestar import Controller, post
from litestar.params import JSONBody

from corekit.contracts.payments.objects import NO_NUL
from corekit.values import Money
from corekit.web import Who, requires
from corekit_payments.checks import refuse_card_numbers
from corekit_payments.upi.rules import UpiChecked, UpiRules


class UpiQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address as a person typed it, and what they would pay."""

    vpa: Annotated[str, msgspec.Meta(max_length=255, pattern=NO_NUL)] | None = None
    amount: Money | None = None


class UpiRoutes(Controller):
    """Looks at what is typed; asks no provider, and stores nothing."""

    path = "/payments/v1/upi"
    tags = ["payments"]
    guards = [requires()]

    @post("/check", operation_id="payment.upi_check", status_code=200)
    async def check(self, caller: Who, data: JSONBody[UpiQuestion]) -> UpiChecked:
        """Say whether a VPA and an amount can be right; no address is looked up."""
        refuse_card_numbers(data)
        return caller.kit.get(UpiRules).check(data.vpa, data.amount)
