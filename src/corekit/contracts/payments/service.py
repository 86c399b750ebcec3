"""The service: verbs that record what somebody wants. No provider is called in them."""

import builtins
from typing import Protocol

from corekit.context import Caller, Context
from corekit.contracts.payments.objects import (
    CheckoutLink,
    Method,
    NewPayment,
    Operation,
    Payment,
    PaymentId,
    PaymentMethod,
    PaymentQuery,
    Refund,
    Verdict,
)
from corekit.values import Money, Page


class Payments(Protocol):
    """Payments and what becomes of them.

    What writes takes a context of `caller.system("payments").begin()`, so that an order and its payment commit
    together, and checks the rights of the person it is for. What reads takes any context.
    """

    async def create(self, ctx: Context, new: NewPayment) -> Payment:
        """Record a payment of the person's; with `confirm` the first attempt too."""
        ...

    async def confirm(self, ctx: Context, id: PaymentId, method: Method, return_url: str | None = None) -> Payment:  # noqa: A002  # the field's own name
        """Record an attempt to pay, which is then sent."""
        ...

    async def cancel(self, ctx: Context, id: PaymentId, reason: str) -> Payment:  # noqa: A002
        """Cancel it, or ask for what is held to be released; what still arrives is surplus."""
        ...

    async def capture(
        self,
        ctx: Context,
        id: PaymentId,  # noqa: A002
        amount: Money | None = None,
        *,
        final: bool = True,
    ) -> Payment:
        """Record that what is held, or a part, is to be taken; a `final` one releases the rest."""
        ...

    async def refund(self, ctx: Context, id: PaymentId, amount: Money | None, reason: str) -> Refund:  # noqa: A002
        """Record that captured money is to be given back: `amount`, or all that is left."""
        ...

    async def review(self, ctx: Context, id: PaymentId, verdict: Verdict, reason: str) -> Payment:  # noqa: A002
        """Let what our own rules have held back be sent, or refuse it for good; why is kept in the audit."""
        ...

    async def checkout_link(self, ctx: Context, id: PaymentId) -> CheckoutLink:  # noqa: A002
        """Make a link to a page on which whoever holds it may pay this payment, for its payer, or cancel it."""
        ...

    async def drive(self, caller: Caller, id: PaymentId, timeout: float = 25.0) -> Payment:  # noqa: A002, ASYNC109
        """Take what is in hand to its provider, and wait at most `timeout` seconds for what becomes of it.

        The work goes on when the wait is over. Raises `InsideContext` while the caller's task holds a context.
        """
        ...

    async def get(self, ctx: Context, id: PaymentId) -> Payment:  # noqa: A002
        """Return a payment that the actor may see."""
        ...

    async def list(self, ctx: Context, query: PaymentQuery) -> Page[Payment]:
        """List the payments that the actor may see, the newest first."""
        ...

    async def operations(self, ctx: Context, id: PaymentId) -> builtins.list[Operation]:  # noqa: A002
        """List what was asked of providers for a payment, in its order."""
        ...

    async def methods(self, ctx: Context, currency: str) -> builtins.list[PaymentMethod]:
        """List the methods by which a currency can be paid now."""
        ...
