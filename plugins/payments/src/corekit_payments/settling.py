"""The seam to the store of idempotency keys."""

from uuid import UUID

from corekit.context import Context
from corekit.guard.idempotency import Idempotency
from corekit.values import typeid


async def settle(ctx: Context, operation: UUID) -> None:
    """Say that nothing is to be driven any more for the request that began this operation.

    Called in the transaction that brings the outcome, whoever brings it.
    """
    await ctx.get(Idempotency).settle(ctx, typeid("pop", operation))
