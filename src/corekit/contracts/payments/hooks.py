"""What other plugins decide for payments."""

from collections.abc import Sequence

from corekit.context import Context
from corekit.contracts.payments.assessing import Assessment, PaymentFacts
from corekit.contracts.payments.objects import NewPayment, Operation, Posting, RefundDraft
from corekit.contracts.payments.providers import Provider, ProviderSettings
from corekit.hooks import hookspec
from corekit.values import Money


@hookspec
async def price_payment(new: NewPayment, ctx: Context) -> Money | None:
    """Say what is to be paid for this `merchant_reference`; another amount than the client's refuses the payment.

    Runs with the rights of the purpose `payments`: name the tenant and the person in what you query.
    """


@hookspec
async def assess_payment(facts: PaymentFacts, ctx: Context) -> Assessment | None:
    """Say what you think of an attempt to pay before it is sent: of all that are asked, the strictest outcome wins.

    Runs with the rights of the purpose `payments`, in the transaction that records the attempt, and what you write is
    part of that; a `Problem` that you raise undoes it, and what was counted with it: return `block` instead.
    """


@hookspec
async def before_refund(draft: RefundDraft, ctx: Context) -> RefundDraft | None:
    """Change how much of captured money is given back and why, or refuse it by raising a `Problem`.

    Runs with the rights of the purpose `payments`, under the payment's lock, with an amount that can be given back;
    another one is checked likewise. `ctx.on_behalf_of` is who asks: nobody where a surplus goes back by itself.
    """


@hookspec
async def ledger_postings(op: Operation, ctx: Context) -> Sequence[Posting] | None:
    """Say between which accounts the whole amount of an operation is posted as it enters `op.state`; None for ours.

    Runs with the rights of the purpose `payments`, in the transaction that makes what happened known: do not raise.
    """


@hookspec
async def payment_providers(settings: ProviderSettings) -> Sequence[Provider] | None:
    """Bring the adapter of an instance whose `kind` is yours; asked at the start, once for each enabled instance."""
