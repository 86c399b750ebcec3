"""Disputes: the payer asks their bank for the money back; the provider opens them, and only its word moves them."""

from datetime import timedelta

import msgspec
from sqlalchemy import func, select

from corekit.context import Context
from corekit.contracts.payments import DisputeOpened, Evidence
from corekit.errors import Invalid
from corekit.events import emit
from corekit.watch import get_logger
from corekit_payments.applying import Applied, applied, apply
from corekit_payments.books import Books, demand_purpose, lock
from corekit_payments.holding import Holding
from corekit_payments.items import open_item
from corekit_payments.ledger import post
from corekit_payments.models import OperationRow
from corekit_payments.telling import Via, common, record
from corekit_payments.transitions import FINAL, OPEN

_NEAR = timedelta(hours=72)  # how long before its end an open dispute is told every hour


class Disputes:
    """What providers say of disputes, for those who hear it without knowing whose payment it is."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    async def learn(self, provider: str, of: str, evidence: Evidence, via: Via = "webhook") -> Applied | None:
        """Open a dispute or move one on, in a transaction of its own; None where `of` is no payment of ours (yet).

        See `open_dispute`.
        """
        async with self._holding.caller(None).begin(readonly=True) as ctx:
            paid = await _disputed(ctx, provider, of)
        if paid is None:
            return None
        async with self._holding.caller(paid.tenant).begin() as ctx:
            done = await open_dispute(ctx, provider, of, evidence, via=via)
            await self._holding.watch(ctx, provider, evidence.provider_ref)
            return done


async def open_dispute(
    ctx: Context, provider: str, of: str, evidence: Evidence, *, via: Via = "webhook"
) -> Applied | None:
    """Open the dispute of a payment that the provider calls `of`, or move on the one that is open already.

    `evidence.provider_ref` is the dispute's own reference, `amount` what is disputed. What the provider has taken is
    posted at once, in this transaction. Evidence in any order and however often ends the same. Where it cannot be
    booked, a reconciliation item says so. None where `of` is no payment of this tenant's (yet).

    Raises:
        Invalid: the evidence names no dispute, or no amount.
        PluginError: this is not a writing context of the purpose `payments`.

    """
    demand_purpose(ctx)
    if evidence.provider_ref is None or evidence.amount is None or evidence.amount.minor <= 0:
        raise Invalid("a dispute has a reference and an amount")
    paid = await _disputed(ctx, provider, of)
    if paid is None or paid.tenant != ctx.tenant:
        return None
    books, evidence = await lock(ctx, paid.payment_id), _plain(evidence)
    known = next((one for one in books.operations if _is(one, provider, evidence.provider_ref)), None)
    if known is None:
        paid = books.operation(paid.id)
        if evidence.amount is not None and evidence.amount.currency != books.payment.currency:
            await open_item(books, paid, "currency", evidence.provider_ref, evidence.amount, evidence.state)
            return applied(books, paid, "refused")
        known = await _open(books, paid, evidence, via)
    return await apply(ctx, known.id, evidence, via=via)


async def warn_of_deadlines(ctx: Context) -> int:
    """Say in the log how many disputes nobody has answered whose end is near; return how many."""
    soon = (OperationRow.kind == "dispute") & OperationRow.state.in_(OPEN) & (OperationRow.stage == "opened")
    soon &= OperationRow.expires_at <= ctx.now() + _NEAR
    count = await ctx.session.scalar(select(func.count()).select_from(OperationRow).where(soon)) or 0
    if count:
        get_logger("corekit.payments").error("payments_dispute_due", count=count)
    return count


async def _open(books: Books, paid: OperationRow, evidence: Evidence, via: Via) -> OperationRow:
    """Begin it as open, whatever evidence says: what that is more is applied to it like any other."""
    amount = evidence.amount.minor if evidence.amount is not None else 0
    made = books.begin(
        "dispute", paid.attempt_id, paid.provider, amount, state="pending", surplus=paid.surplus
    )  # fmt: skip
    made.of = paid.id if paid.surplus else None
    made.provider_ref, made.next_check_at = evidence.provider_ref, None
    made.stage, made.expires_at, before = "opened", evidence.expires_at, books.payment.status
    books.settle_columns()
    books.changed()
    await books.ctx.session.flush()
    await post(books, made, None)
    opened = common(books) | {"amount": books.money(made), "operation": made.id}
    await emit(books.ctx, DisputeOpened(**opened, respond_by=evidence.expires_at))
    await record(books, "dispute.opened", made, via, before)
    return made


def _plain(evidence: Evidence) -> Evidence:
    """Take what is not known of a dispute as that it is open: there is one, and nothing of ours is in hand."""
    if evidence.state in FINAL or evidence.state == "pending":
        return evidence
    return msgspec.structs.replace(evidence, state="pending", stage=evidence.stage or "opened")


def _is(operation: OperationRow, provider: str, ref: str | None) -> bool:
    return operation.kind == "dispute" and (operation.provider, operation.provider_ref) == (provider, ref)


async def _disputed(ctx: Context, provider: str, of: str) -> OperationRow | None:
    """Find what took the money: a capture rather than the authorisation that has the same name."""
    named = (OperationRow.provider == provider) & (OperationRow.provider_ref == of)
    takes = OperationRow.kind.in_(["authorize", "capture"])
    found = await ctx.session.scalars(select(OperationRow).where(named, takes))
    return min(found, key=lambda one: one.kind != "capture", default=None)
