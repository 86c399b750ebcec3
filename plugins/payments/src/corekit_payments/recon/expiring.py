"""Holds whose own time has come: their provider is asked once more, then they are over here too."""

import asyncio
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select

from corekit.context import Caller
from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown, Provider
from corekit.watch import get_logger
from corekit_payments.applying import apply
from corekit_payments.models import OperationRow, PaymentRow
from corekit_payments.providers import Providers

HELD = ("requires_capture", "partially_captured")  # of a payment, while something of it can still be captured
_AT_ONCE = 100
_OP = OperationRow


async def expire_holds(caller: Caller, providers: Providers, timeout: float) -> int:  # noqa: ASYNC109  # of each call
    """End what is held past its time, each in a transaction of its own; return how many those were.

    What its provider does not show now is left for the next time.
    """
    count = 0
    for id_, tenant, provider, ref in await _due(caller):
        adapter = providers.named(provider)
        shown = None if adapter is None else await _shown(adapter, ref, timeout)
        if shown is None:
            continue
        async with replace(caller, tenant=tenant).begin() as ctx:
            await apply(ctx, id_, shown, via="sweeper")
            over = Evidence(source="local", state="canceled", occurred_at=ctx.now())
            await apply(ctx, id_, over, via="sweeper")
        count += 1
    return count


async def _due(caller: Caller) -> list[tuple[UUID, UUID | None, str, str]]:
    async with caller.begin(readonly=True) as ctx:
        held = (_OP.kind == "authorize") & (_OP.state == "succeeded") & _OP.surplus.is_(False)
        held &= (_OP.expires_at <= ctx.now()) & PaymentRow.status.in_(HELD) & _OP.provider_ref.is_not(None)
        wanted = select(_OP.id, _OP.tenant, _OP.provider, _OP.provider_ref).where(held)
        wanted = wanted.join(PaymentRow, PaymentRow.id == _OP.payment_id)
        rows = await ctx.session.execute(wanted.order_by(_OP.expires_at.desc()).limit(_AT_ONCE))
        return [(row.id, row.tenant, row.provider, row.provider_ref) for row in rows]


async def _shown(provider: Provider, ref: str, timeout: float) -> Evidence | None:  # noqa: ASYNC109
    try:
        async with asyncio.timeout(timeout):
            return await provider.fetch(ref)
    except (NotAttempted, OutcomeUnknown, TimeoutError) as why:
        get_logger("corekit.payments").warning("payments_hold_not_shown", reason=type(why).__name__)
        return None
