"""What other plugins decide for payments."""

from collections.abc import Sequence

from corekit.context import Context
from corekit.contracts.payments.objects import NewPayment
from corekit.contracts.payments.providers import Provider, ProviderSettings
from corekit.hooks import hookspec
from corekit.values import Money


@hookspec
async def price_payment(new: NewPayment, ctx: Context) -> Money | None:
    """Say what is to be paid for this `merchant_reference`; another amount than the client's refuses the payment.

    Runs with the rights of the purpose `payments`: name the tenant and the person in what you query.
    """


@hookspec
async def payment_providers(settings: ProviderSettings) -> Sequence[Provider] | None:
    """Bring the adapter of an instance whose `kind` is yours; asked at the start, once for each enabled instance."""
