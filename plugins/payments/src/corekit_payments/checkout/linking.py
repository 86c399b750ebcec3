"""Making a link: the payer's to ask for."""

from datetime import timedelta

from corekit.context import Context
from corekit.contracts.payments import CheckoutLink
from corekit_payments import reading
from corekit_payments.books import demand_purpose, lock
from corekit_payments.checkout.links import Links
from corekit_payments.rights import demand_payer
from corekit_payments.telling import record_request


async def checkout_link(ctx: Context, payment: str, base: str, lifetime: timedelta) -> CheckoutLink:
    """Make a link for the payer (NotFound, Refused)."""
    demand_purpose(ctx)
    books = await lock(ctx, reading.parsed(payment))
    demand_payer(books)
    link = Links(ctx.kit.keyring).make(books.payment.id, ctx.now() + lifetime)
    await record_request(books, "payment.link_created", expires_at=link.expires_at.isoformat())
    return CheckoutLink(url=f"{base}/payments/v1/checkout/{link.token}", expires_at=link.expires_at)
