"""Working on a notice: it is a hint to fetch, and what is fetched goes the way of all evidence."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update

from corekit.context import Caller, Context
from corekit.contracts.payments import Evidence, NotAttempted, OperationKind, OutcomeUnknown, Provider, ProviderEvent
from corekit.jobs import Bury, Retry
from corekit_payments.applying import apply
from corekit_payments.books import lock
from corekit_payments.inbox.rows import NoticeState, WebhookInboxRow
from corekit_payments.inbox.taking import NoticeKey
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.models import OperationRow
from corekit_payments.providers import Providers
from corekit_payments.transitions import OPEN

Learn = Callable[[str, str, Evidence], Awaitable[object]]
"""Takes in what a provider says of the object that it calls so, by evidence of its own; None where that is not ours."""

_SOON = timedelta(seconds=5)  # until what is not known yet is looked for again; then doubled
_PATIENCE = timedelta(hours=1)  # after which what cannot be fetched is told of without its amount


@dataclass(frozen=True)
class Notice:
    """A notice that is still to be worked on."""

    key: NoticeKey
    event: ProviderEvent
    received_at: datetime


@dataclass(frozen=True)
class Found:
    """The operation that a notice is about, as it was found."""

    id: UUID
    payment: UUID
    tenant: UUID | None
    kind: OperationKind
    provider_ref: str | None


class Processing:
    """Takes notices from the inbox to the operations that they are about; for at most `park` one waits for its own.

    `learn` is who hears of what cannot be fetched: disputes.
    """

    def __init__(self, providers: Providers, park: timedelta, learn: Learn) -> None:
        self._providers = providers
        self._park = park
        self._learn = learn

    async def process(self, caller: Caller, key: NoticeKey) -> None:
        """Work on a notice.

        Raises:
            Retry: its operation is not known yet, or its provider asks for patience.
            OutcomeUnknown, NotAttempted: the provider does not say what became of it.
            Bury: its instance is gone.

        """
        notice = await _open(caller, key)
        if notice is None:
            return
        provider = self._providers.named(key.provider)
        if provider is None:
            raise Bury(f"[payments.providers.{key.provider}] is gone")
        try:
            await self._work(caller, provider, notice)
        except (NotAttempted, OutcomeUnknown) as why:
            await _note(caller, notice, "received", type(why).__name__)
            if isinstance(why, NotAttempted) and why.retry_after is not None:
                raise Retry(why.retry_after) from why
            raise

    async def _work(self, caller: Caller, provider: Provider, notice: Notice) -> None:
        evidence, of = notice.event.evidence, notice.event.provider_ref
        if evidence is not None:
            if of is None or await self._learn(provider.name, of, evidence) is None:
                await self._unknown(caller, provider, notice)
            else:
                await _note(caller, notice, "applied", None)
            return
        found = await _find(caller, notice)
        if found is not None:
            shown = await _shown(provider, notice.event, found)
            await _apply(replace(caller, tenant=found.tenant), notice, found, shown)
        elif notice.event.provider_ref is None and notice.event.reference is None:
            await _note(caller, notice, "ignored", "about no payment")
        else:
            await self._unknown(caller, provider, notice)

    async def _unknown(self, caller: Caller, provider: Provider, notice: Notice) -> None:
        """Wait for an operation that may be about to be known by this name; then tell of money that is nobody's."""
        now = caller.kit.clock.now()
        left = notice.received_at + self._park - now
        if left > timedelta():
            await _note(caller, notice, "parked", "unknown reference")
            raise Retry(min(max(_SOON, now - notice.received_at), left))
        shown = notice.event.evidence
        if shown is None and notice.event.provider_ref is not None:
            try:
                shown = await provider.fetch(notice.event.provider_ref)
            except OutcomeUnknown:
                if now - notice.received_at < self._park + _PATIENCE:
                    raise
        async with caller.begin() as ctx:
            if await _mark(ctx, notice, "unmatched", "unknown reference"):
                their_ref = notice.event.provider_ref or notice.event.reference or notice.event.id
                await book_unmatched(ctx, provider.name, their_ref, shown)


async def _open(caller: Caller, key: NoticeKey) -> Notice | None:
    async with caller.begin(readonly=True) as ctx:
        wanted = select(WebhookInboxRow.event, WebhookInboxRow.received_at).where(
            WebhookInboxRow.provider == key.provider,
            WebhookInboxRow.event_id == key.event_id,
            WebhookInboxRow.state.in_(["received", "parked"]),
        )
        row = (await ctx.session.execute(wanted)).one_or_none()
    return None if row is None else Notice(key, msgspec.convert(row.event, ProviderEvent), row.received_at)


async def _find(caller: Caller, notice: Notice) -> Found | None:
    """Find the operation: by our reference, which is one operation's alone, else by what the provider calls it.

    A name of theirs may be an authorisation's and those of what followed from it; the first one is what it stands for.
    """
    op, event = OperationRow, notice.event
    columns = select(op.id, op.payment_id, op.tenant, op.kind, op.provider_ref)
    async with caller.begin(readonly=True) as ctx:
        for name, value in ((op.reference, event.reference), (op.provider_ref, event.provider_ref)):
            if value is None:
                continue
            wanted = columns.where(op.provider == notice.key.provider, name == value).order_by(op.seq).limit(1)
            row = (await ctx.session.execute(wanted)).one_or_none()
            if row is not None:
                return Found(row.id, row.payment_id, row.tenant, row.kind, row.provider_ref)
    return None


async def _shown(provider: Provider, event: ProviderEvent, found: Found) -> list[Evidence]:
    """Fetch what became of an operation, by its own name where it has one.

    The notice may name another object, as a second payment of the same order: that counts only where it moved money.
    Before its own name is known an operation does not end by theirs, which may be one try of several; and a release has
    no object of its own. Both are left to the driver.
    """
    if found.kind == "void":
        return []
    theirs = event.provider_ref
    if found.provider_ref is None:
        shown = [] if theirs is None else [await provider.fetch(theirs)]
        return [one for one in shown if one.state not in {"failed", "canceled"}]
    shown = [await provider.fetch(found.provider_ref)]
    known = {found.provider_ref, shown[0].provider_ref}
    if theirs is not None and event.reference is not None and theirs not in known:
        other = await provider.fetch(theirs)
        shown += [other] if other.state == "succeeded" else []
    return shown


async def _apply(caller: Caller, notice: Notice, found: Found, shown: list[Evidence]) -> None:
    """Apply it, and have the driver look at whatever else of the payment is on its way."""
    async with caller.begin() as ctx:
        if not await _mark(ctx, notice, "applied", None):
            return
        await lock(ctx, found.payment)  # before any of its operations is touched: all who work on it queue here
        for evidence in shown:
            await apply(ctx, found.id, evidence, via="webhook")
        op = OperationRow
        others = (op.payment_id == found.payment) & op.next_check_at.is_not(None) & op.state.in_(OPEN - {"created"})
        if shown:
            others &= op.id != found.id
        due = update(op).where(others, op.next_check_at > ctx.now()).values(next_check_at=ctx.now())
        await ctx.session.execute(due, execution_options={"synchronize_session": False})


async def _note(caller: Caller, notice: Notice, state: NoticeState, error: str | None) -> None:
    """Keep where a notice stands, in a transaction of its own."""
    async with caller.begin() as ctx:
        await _mark(ctx, notice, state, error)


async def _mark(ctx: Context, notice: Notice, state: NoticeState, error: str | None) -> bool:
    """Take a notice to a state; tell whether it was still to be worked on."""
    row = WebhookInboxRow
    mine = (row.provider == notice.key.provider) & (row.event_id == notice.key.event_id)
    marked = (
        update(row)
        .where(mine, row.state.in_(["received", "parked"]))
        .values(state=state, error=error, tries=row.tries + 1, tenant=ctx.tenant)
        .returning(row.event_id)
    )
    done = await ctx.session.execute(marked, execution_options={"synchronize_session": False})
    return done.scalar_one_or_none() is not None
