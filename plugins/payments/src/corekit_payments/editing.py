"""What a payer may still change of a payment: how it is described, never what it costs or whom it pays."""

import msgspec
from msgspec import UNSET, UnsetType

from corekit.context import Context
from corekit.contracts.payments import Metadata, Payment
from corekit.contracts.payments.objects import Text
from corekit.guard.preconditions import IfMatch
from corekit_payments import reading
from corekit_payments.books import demand_purpose, lock
from corekit_payments.checks import refuse_card_numbers
from corekit_payments.rights import demand_payer


class PaymentChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not given stays as it is; `metadata` takes the place of all there was."""

    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


async def edit(ctx: Context, payment: str, changes: PaymentChanges, if_match: IfMatch) -> Payment:
    """Describe a payment of the person's otherwise, whatever its status; what changes nothing makes no new version.

    Raises:
        CardNumberRefused, NotFound, Refused: as they say; `Refused` where they see the payment and do not pay it.
        PreconditionFailed: it has changed since they read it.

    """
    demand_purpose(ctx)
    refuse_card_numbers(changes)
    books = await lock(ctx, reading.parsed(payment))
    demand_payer(books)
    if_match.demand(books.payment.version)
    row = books.payment
    description = row.description if isinstance(changes.description, UnsetType) else changes.description
    metadata = row.details if isinstance(changes.metadata, UnsetType) else changes.metadata
    if (description, metadata) != (row.description, row.details):
        row.description, row.details = description, metadata
        books.changed()
        await ctx.session.flush()
    return await reading.shown(ctx, books.payment, books.operations)
