"""What a provider lists against our books, both ways: a page at a time, each payment in a transaction of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import aliased

from corekit.context import Caller
from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown, Provider
from corekit.values import Money
from corekit.watch import get_logger
from corekit_payments.books import lock_of
from corekit_payments.inbox.unmatched import book_unmatched
from corekit_payments.items import open_item
from corekit_payments.models import OperationRow, PaymentRow
from corekit_payments.recon.comparing import Found, compare
from corekit_payments.recon.pacing import Bucket
from corekit_payments.recon.running import LeaseLost, Run, Runs
from corekit_payments.recon.tidying import tidy
from corekit_payments.settings import PaymentsSettings

T = TypeVar("T")
_PAGE = 100
_OURS = "ours:"  # a cursor in the second half of a run: the operation that was asked for last
_THEIRS = "theirs:"  # one in the first half: the object that was compared last
_OP = OperationRow
Progress = Callable[[Run], None]


@dataclass(frozen=True)
class _Known:
    id: UUID
    tenant: UUID | None
    agrees: frozenset[tuple[Money | None, Money | None]] = frozenset()  # amounts and captures that agreed before


class Listing:
    """Runs the comparison for one instance after the other; `caller` is the system's, of no tenant."""

    def __init__(self, caller: Caller, settings: PaymentsSettings) -> None:
        self._caller = caller
        self._runs = Runs(caller)
        self._settings = settings

    async def run(self, provider: Provider, *, now: bool = False, progress: Progress = lambda _: None) -> Run | None:
        """Compare what a provider lists of the last days, or go on where a runner has died.

        None where it could not be begun, or did not come to its end: the row of the run says why.
        """
        window = timedelta(seconds=self._settings.recon.window)
        run = await self._runs.claim("listing", provider.name, window, now=now)
        if run is None:
            return None
        try:
            await _Comparison(self._caller, self._runs, self._settings, run, provider, progress).compare()
            await self._runs.end(run)
        except (NotAttempted, OutcomeUnknown) as why:
            await self._runs.fail(run, why)
            return None
        except LeaseLost:
            get_logger("corekit.payments").warning("payments_reconcile_lost", reason=provider.name)
            return None
        except Exception as error:  # noqa: BLE001  # an adapter's bug must not keep other instances waiting
            await self._runs.fail(run, OutcomeUnknown(f"{type(error).__name__}: a bug, or a fault here"))
            return None
        return run


class _Comparison:
    """One run over one instance."""

    def __init__(
        self,
        caller: Caller,
        runs: Runs,
        settings: PaymentsSettings,
        run: Run,
        provider: Provider,
        progress: Progress,
    ) -> None:
        self._caller, self._runs, self._run = caller, runs, run
        self._park = timedelta(seconds=settings.recon.park)
        self._timeout = settings.provider_timeout
        self._provider, self._progress = provider, progress
        self._asked_at = self._now()
        self._bucket = Bucket(provider.capabilities.rate)

    async def compare(self) -> None:
        cursor = self._run.cursor
        if not cursor.startswith(_OURS):
            await self._theirs(cursor.removeprefix(_THEIRS))
            cursor = _OURS
        await self._ours(cursor.removeprefix(_OURS))
        async with self._caller.begin() as ctx:
            await tidy(ctx, self._provider.name)

    async def _theirs(self, marker: str) -> None:
        """Compare what is listed after the object that was compared last; all of it where that is gone."""
        passed = not marker
        async for page in self._pages():
            rest = page
            if not passed:
                names = [_name(one) for one in page]
                if marker not in names:
                    continue
                passed, rest = True, page[names.index(marker) + 1 :]
            await self._page(rest)
            await self._advance(f"{_THEIRS}{_name(page[-1])}")
        if not passed:
            await self._theirs("")

    async def _pages(self) -> AsyncIterator[list[Evidence]]:
        """List page by page, each as if it were one call."""
        page: list[Evidence] = []
        listed = self._provider.list_since(str(int(self._run.since.timestamp())))
        await self._bucket.take()
        while (one := await self._in_time(anext(listed, None))) is not None:
            page.append(one)
            if len(page) == _PAGE:
                yield page
                page = []
                await self._bucket.take()
        if page:
            yield page

    async def _page(self, page: Sequence[Evidence]) -> None:
        known = await self._known(page)
        for one in page:
            self._run.counts["listed"] += 1
            of = known.get(one.provider_ref or "") or known.get(f"#{one.reference}")
            if of is not None:
                await self._compare(of, one)
            elif one.state == "succeeded":
                await self._missing_here(one)

    async def _known(self, page: Sequence[Evidence]) -> dict[str, _Known]:
        """Find the operations of a page by the names of theirs, and by our references, of which each begins with #.

        A name may be an authorisation's and those of what followed from it; the first is what it stands for.
        """
        refs = [one.provider_ref for one in page if one.provider_ref]
        ours = [one.reference for one in page if one.reference]
        taken = aliased(_OP)
        captured = exists().where(
            taken.attempt_id == _OP.attempt_id, taken.kind == "capture", taken.state == "succeeded"
        )
        wanted = select(_OP, PaymentRow.currency, captured).join(PaymentRow, PaymentRow.id == _OP.payment_id)
        named = or_(_OP.provider_ref.in_(refs), _OP.reference.in_(ours))
        wanted = wanted.where(_OP.provider == self._provider.name, named, _OP.kind != "dispute").order_by(_OP.seq)
        found: dict[str, _Known] = {}
        async with self._caller.begin(readonly=True) as ctx:
            for row, currency, has_capture in await ctx.session.execute(wanted):
                known = _Known(row.id, row.tenant, _agreed(row, currency, captured=has_capture))
                found.setdefault(row.provider_ref or "", known)
                found.setdefault(f"#{row.reference}", known)
        return found

    async def _compare(self, of: _Known, shown: Evidence) -> None:
        if shown.state == "succeeded" and (shown.amount, shown.captured) in of.agrees:
            self._count("agreed")  # as before: no transaction for it
            return
        async with replace(self._caller, tenant=of.tenant).begin() as ctx:
            self._count(await compare(ctx, of.id, shown, self._asked_at))

    async def _missing_here(self, shown: Evidence) -> None:
        async with self._caller.begin() as ctx:
            opened = await book_unmatched(ctx, self._provider.name, _name(shown), shown, park=self._park)
            self._count("opened" if opened else "known")

    async def _ours(self, after: str) -> None:
        """Ask for what has moved money here and was not in the list."""
        last = UUID(after) if after else None
        while rows := await self._unseen(last):
            for row in rows:
                await self._seek(row)
            last = rows[-1].id
            await self._advance(f"{_OURS}{last}")

    async def _unseen(self, after: UUID | None) -> Sequence[OperationRow]:
        unseen = (_OP.provider == self._provider.name) & (_OP.state == "succeeded") & _OP.reconciled_at.is_(None)
        unseen &= _OP.kind.in_(["authorize", "capture", "refund"]) & _OP.provider_ref.is_not(None)
        unseen &= (_OP.updated_at >= self._run.since) & (_OP.updated_at < self._asked_at)
        first = aliased(_OP)  # of those with one name: it stands for the capture that came along
        unseen &= ~exists().where(
            first.payment_id == _OP.payment_id, first.provider_ref == _OP.provider_ref, first.seq < _OP.seq,
            first.state == "succeeded", first.reconciled_at.is_(None), first.kind != "dispute",
        )  # fmt: skip
        if after is not None:
            unseen &= _OP.id > after
        async with self._caller.begin(readonly=True) as ctx:
            return (await ctx.session.scalars(select(_OP).where(unseen).order_by(_OP.id).limit(_PAGE))).all()

    async def _seek(self, row: OperationRow) -> None:
        """Ask for one by its name there, then by our reference; what has neither is missing there."""
        self._run.counts["sought"] += 1
        shown = await self._fetched(row)
        if shown is not None:
            await self._compare(_Known(row.id, row.tenant), shown)
            return
        async with replace(self._caller, tenant=row.tenant).begin() as ctx:
            books = await lock_of(ctx, row.id)
            op, ref = books.operation(row.id), row.provider_ref
            opened = await open_item(books, op, "missing_there", ref, None, None, park=self._park)
            self._count("opened" if opened else "known")

    async def _fetched(self, row: OperationRow) -> Evidence | None:
        """Return what they show; None where it is not there, which a look-up confirms where there is one."""
        await self._bucket.take()
        try:
            return await self._in_time(self._provider.fetch(row.provider_ref or ""))
        except OutcomeUnknown:
            if not self._provider.capabilities.lookup:
                return None
        await self._bucket.take()
        return await self._in_time(self._provider.lookup(row.reference))

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError as error:
            raise OutcomeUnknown("no answer in time") from error

    async def _advance(self, cursor: str) -> None:
        await self._runs.advance(self._run, cursor)
        self._progress(self._run)

    def _count(self, found: Found) -> None:
        self._run.counts[found] += 1

    def _now(self) -> datetime:
        return self._caller.kit.clock.now()


def _agreed(row: OperationRow, currency: str, *, captured: bool) -> frozenset[tuple[Money | None, Money | None]]:
    if row.reconciled_at is None or row.state != "succeeded":
        return frozenset()
    all_ = Money(row.amount, currency)
    return frozenset({(all_, None), *([(all_, all_)] if captured or row.kind != "authorize" else [])})


def _name(shown: Evidence) -> str:
    return shown.provider_ref or shown.reference or ""
