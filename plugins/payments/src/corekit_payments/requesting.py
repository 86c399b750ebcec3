"""A request under an idempotency key: the verb with its key in one transaction, then the drive, then what to answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from corekit.context import Caller, Context
from corekit.contracts.payments import Method, NewPayment, OperationKind, Payment, Refund, Verdict
from corekit.guard.idempotency import Idempotency, IdempotencyKey
from corekit.values import Money, parse_id, typeid
from corekit_payments import reading
from corekit_payments.errors import PaymentDeclined, ProviderUnavailable
from corekit_payments.models import PURPOSE, OperationRow
from corekit_payments.service import PaymentsService
from corekit_payments.telling import ASKED, Asked
from corekit_payments.transitions import IN_HAND

T = TypeVar("T")


@dataclass(frozen=True)
class Made:
    """What a key is of: an operation that is to be driven, or a payment of which nothing is; and how it looks now."""

    resource: str
    payment: Payment | None = None


Make = Callable[[Context], Awaitable[Made]]


@dataclass(frozen=True)
class Taken(Generic[T]):
    """What a request has come to; `done` is false while its operation is still in hand."""

    shown: T
    done: bool = True


class Requests:
    """The verbs for clients that may repeat them: one key, one effect, one answer.

    What was asked for is driven and shown with the plugin's rights: the verb has asked what the person may, and who
    may capture or refund need not be one who sees every payment. Each method raises what its verb and the store of
    keys raise, and after the commit:

        PaymentDeclined: the provider refused, or our own rules did: these say no more than `blocked`.
        ProviderUnavailable: it was certainly not reached.
    """

    def __init__(self, payments: PaymentsService, wait: float) -> None:
        self._payments = payments
        self._wait = wait

    async def create(self, caller: Caller, key: IdempotencyKey, new: NewPayment) -> Taken[Payment]:
        """Create a payment; with `confirm`, try to be paid."""
        return await self._payment(
            caller, key, "authorize", lambda ctx: self._payments.create(ctx, new), tries=new.confirm
        )

    async def confirm(
        self,
        caller: Caller,
        key: IdempotencyKey,
        payment: str,
        method: Method,
        return_url: str | None,
        asked: Asked = ASKED,
    ) -> Taken[Payment]:
        """Try to be paid."""
        return await self._payment(
            caller,
            key,
            "authorize",
            lambda ctx: self._payments.confirm(ctx, payment, method, return_url, asked=asked),
            tries=True,
        )

    async def cancel(
        self, caller: Caller, key: IdempotencyKey, payment: str, reason: str, asked: Asked = ASKED
    ) -> Taken[Payment]:
        """Cancel a payment."""
        return await self._payment(
            caller, key, "void", lambda ctx: self._payments.cancel(ctx, payment, reason, asked=asked)
        )

    async def capture(
        self, caller: Caller, key: IdempotencyKey, payment: str, amount: Money | None, *, final: bool
    ) -> Taken[Payment]:
        """Take what is held, or a part."""
        return await self._payment(
            caller, key, "capture", lambda ctx: self._payments.capture(ctx, payment, amount, final=final)
        )

    async def refund(
        self, caller: Caller, key: IdempotencyKey, payment: str, amount: Money | None, reason: str
    ) -> Taken[Refund]:
        """Give captured money back, or a part; one that the provider refuses is a result, not a decline."""

        async def make(ctx: Context) -> Made:
            return Made((await self._payments.refund(ctx, payment, amount, reason)).id)

        payment_id, operation = await self._drive(caller, (await _claim(caller, key, make)).resource)
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            paid, operations = await reading.rows_of(ctx, payment_id)
            row = next(one for one in operations if one.id == operation)
            return Taken(await reading.refund(ctx, row, paid.currency), done=_done(row, ctx.now()))

    async def review(
        self, caller: Caller, key: IdempotencyKey, payment: str, verdict: Verdict, reason: str
    ) -> Taken[Payment]:
        """Let what is held back go, or end it; what is let go is sent by whoever sweeps, and not waited for."""

        async def make(ctx: Context) -> Made:
            made = await self._payments.review(ctx, payment, verdict, reason)
            return Made(made.id, made)

        return await self._show(caller, await _claim(caller, key, make))

    async def _payment(
        self,
        caller: Caller,
        key: IdempotencyKey,
        kind: OperationKind,
        verb: Callable[[Context], Awaitable[Payment]],
        *,
        tries: bool = False,
    ) -> Taken[Payment]:
        async def make(ctx: Context) -> Made:
            made = await verb(ctx)
            if kind == "authorize" and made.status != "processing":
                return Made(made.id, made)  # nothing was tried, or our own rules have ended it, or hold it back
            hand = reading.in_hand((await reading.rows_of(ctx, reading.parsed(made.id)))[1])
            if hand is None or hand.kind != kind:
                return Made(made.id, made)  # nothing to be driven, or nothing of this request's
            return Made(typeid("pop", hand.id))

        made = await _claim(caller, key, make)
        if _is_payment(made.resource):
            shown = await self._show(caller, made)
            return await self._unless_blocked(caller, shown) if tries else shown
        payment, operation = await self._drive(caller, made.resource)
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            seen, operations = await reading.rows_of(ctx, payment)
            row = next(one for one in operations if one.id == operation)
            paid = await reading.shown(ctx, seen, operations)
            if row.state == "failed":
                raise PaymentDeclined(reason=row.error_class, payment=paid.id, payment_status=paid.status)
            return Taken(paid, done=_done(row, ctx.now()))

    async def _unless_blocked(self, caller: Caller, taken: Taken[Payment]) -> Taken[Payment]:
        """Return what somebody tried to pay, unless our rules have ended that attempt (PaymentDeclined)."""
        paid = taken.shown
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            last = (await self._payments.operations(ctx, paid.id))[-1:]
        if any(one.kind == "authorize" and one.error == "blocked" for one in last):
            raise PaymentDeclined(reason="blocked", payment=paid.id, payment_status=paid.status)
        return taken

    async def _show(self, caller: Caller, made: Made) -> Taken[Payment]:
        if made.payment is not None:
            return Taken(made.payment)
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            return Taken(await self._payments.get(ctx, made.resource))

    async def _drive(self, caller: Caller, resource: str) -> tuple[UUID, UUID]:
        """Join or drive an operation until it is out of hand, or the wait is over; return its payment and itself."""
        operation, system = parse_id("pop", resource), caller.system(PURPOSE)
        async with system.begin(readonly=True) as ctx:
            row = await reading.operation_row(ctx, operation)
        if row.state in IN_HAND:
            await self._payments.drive(system, typeid("pay", row.payment_id), self._wait)
        return row.payment_id, operation


async def _claim(caller: Caller, key: IdempotencyKey, make: Make) -> Made:
    """Make what is asked for under its key, both or neither; or name what an attempt before has made."""
    async with caller.system(PURPOSE).begin() as ctx:
        keys = ctx.get(Idempotency)
        claim = await keys.claim(ctx, key)
        if claim.resource is not None:
            return Made(claim.resource)
        made = await make(ctx)
        await keys.attach(ctx, claim, made.resource, settled=_is_payment(made.resource))
        return made


def _is_payment(resource: str) -> bool:
    """Tell whether a key names a payment, of which nothing was to be driven, and not an operation."""
    return resource.startswith("pay_")


def _done(row: OperationRow, now: datetime) -> bool:
    """Tell whether an operation is out of hand (ProviderUnavailable where it was certainly never sent)."""
    if row.state not in IN_HAND:
        return True
    if row.sends == row.unsent > 0:
        later = (row.next_check_at - now).total_seconds() if row.next_check_at is not None else 1.0
        raise ProviderUnavailable("nothing was sent; it is tried again", retry_after=max(later, 1.0))
    return False
