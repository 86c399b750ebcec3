"""Holds whose own time has come: their provider is asked once more, then they are over here too."""

import asyncio
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select

from corekit.context import Caller
from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown
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
    count, log, silent = 0, get_logger("corekit.payments"), set[str]()
    for id_, tenant, provider, ref in await _due(caller):
        adapter = providers.named(provider)
        if adapter is None or provider in silent:
            continue
        try:
            async with asyncio.timeout(timeout):
                shown = await adapter.fetch(ref)
            async with replace(caller, tenant=tenant).begin() as ctx:
                await apply(ctx, id_, shown, via="sweeper")
                over = Evidence(source="local", state="canceled", occurred_at=ctx.now())
                await apply(ctx, id_, over, via="sweeper")
            count += 1
        except (NotAttempted, OutcomeUnknown) as why:
            log.warning("payments_hold_not_shown", reason=type(why).__name__)
        except TimeoutError:  # nor would it answer for the next one
            silent.add(provider)
            log.warning("payments_hold_not_shown", reason="TimeoutError")
        except Exception:  # one that cannot be ended must not keep the others
            log.exception("payments_hold_not_ended", reason=provider)
    return count


async def _due(caller: Caller) -> list[tuple[UUID, UUID | None, str, str]]:
    async with caller.begin(readonly=True) as ctx:
        held = (_OP.kind == "authorize") & (_OP.state == "succeeded") & _OP.surplus.is_(False)
        held &= (_OP.expires_at <= ctx.now()) & PaymentRow.status.in_(HELD) & _OP.provider_ref.is_not(None)
        wanted = select(_OP.id, _OP.tenant, _OP.provider, _OP.provider_ref).where(held)
        wanted = wanted.join(PaymentRow, PaymentRow.id == _OP.payment_id)
        rows = await ctx.session.execute(wanted.order_by(_OP.expires_at.desc()).limit(_AT_ONCE))
        return [(row.id, row.tenant, row.provider, row.provider_ref) for row in rows]
