"""What people at a desk do that reaches a provider: have an operation looked up now."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast
from uuid import UUID

from corekit.context import Caller, Context
from corekit.contracts.payments import DisputingProvider, Evidence, NotAttempted, Operation, OutcomeUnknown, Provider
from corekit.values import parse_id
from corekit_payments import reading
from corekit_payments.disputes import Disputes
from corekit_payments.errors import PaymentState, ProviderUnavailable
from corekit_payments.holding import Holding
from corekit_payments.models import PURPOSE, RECONCILE, OperationRow, PaymentRow
from corekit_payments.providers import Providers
from corekit_payments.rights import demand

T = TypeVar("T")


class Desk:
    """Asks providers, for those who may reconcile; nothing here moves money."""

    def __init__(self, holding: Holding, providers: Providers, disputes: Disputes, timeout: float) -> None:
        self._holding = holding
        self._providers = providers
        self._disputes = disputes
        self._timeout = timeout

    async def check(self, caller: Caller, id: str) -> Operation:  # noqa: A002  # the field's own name
        """Ask what became of an operation, and of its disputes, and return it as it is then.

        What is open, or has ended without moving money, is looked up; what was never sent is not. Where its provider
        can be asked, the disputes of what it has taken become known too.

        Raises:
            NotFound, Refused: it is not theirs to see, or to have looked up.
            PaymentState: its provider is not there any more, or looks nothing up.
            ProviderUnavailable: it gave no answer that can be read.
            InsideContext: this task holds a context.

        """
        caller.demand_free("check")
        system, operation = caller.system(PURPOSE), parse_id("pop", id, pointer="/id")
        async with system.begin(readonly=True) as ctx:
            row, payment = await _asked(ctx, operation)
        provider = self._providers.named(row.provider)
        if provider is None:
            raise PaymentState("its provider is not enabled")
        if (answer := _question(row, payment, provider)) is not None and (found := await self._ask(answer)) is not None:
            await self._holding.learn(operation, row.tenant, found, "operator")
        await self._hear(row, provider)
        async with system.begin(readonly=True) as ctx:
            row, payment = await _asked(ctx, operation)
            return reading.operation(row, payment.currency)

    async def _hear(self, row: OperationRow, provider: Provider) -> None:
        takes = row.kind in {"authorize", "capture"} and row.provider_ref is not None
        if not (takes and provider.capabilities.disputes):
            return
        ref = row.provider_ref or ""
        for evidence in await self._ask(cast("DisputingProvider", provider).disputes(ref)):
            await self._disputes.learn(row.provider, ref, evidence, "operator")

    async def _ask(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except NotAttempted as why:
            after = why.retry_after.total_seconds() if why.retry_after is not None else 1.0
            raise ProviderUnavailable("it was not reached; nothing was sent but a question", retry_after=after) from why
        except (OutcomeUnknown, TimeoutError) as why:
            raise ProviderUnavailable("it gave no answer that can be read; nothing was sent but a question") from why


def _question(row: OperationRow, payment: PaymentRow, provider: Provider) -> Awaitable[Evidence | None] | None:
    """Say what to ask; None where there is nothing to learn: it was never sent, or has moved money for good."""
    held = row.kind == "authorize" and payment.status in {"requires_capture", "partially_captured"}
    moved = row.state == "succeeded" and not held
    if moved or row.state == "created" or (row.state == "sending" and row.sends == row.unsent):
        return None
    own = row.kind in {"authorize", "refund"} or row.state in {"requires_action", "pending"}
    if row.kind == "dispute":
        own = provider.capabilities.disputes
    if own and row.provider_ref is not None:
        return provider.fetch(row.provider_ref)
    if row.kind == "dispute" or not provider.capabilities.lookup:
        raise PaymentState("its provider looks nothing up")
    return provider.lookup(row.reference)


async def _asked(ctx: Context, operation: UUID) -> tuple[OperationRow, PaymentRow]:
    row = await reading.operation_row(ctx, operation)
    payment = await ctx.session.get_one(PaymentRow, row.payment_id)
    demand(ctx, payment, RECONCILE)
    return row, payment
