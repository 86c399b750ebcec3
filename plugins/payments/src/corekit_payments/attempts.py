"""A new attempt to pay: what must not be open before it, and what is recorded of it."""

from uuid import UUID

from corekit.contracts.payments import Evidence, Method, Provider, TokenMethod
from corekit.contracts.payments.objects import CardMethod, RedirectMethod
from corekit.values import Money, uuid7
from corekit_payments.applying import apply
from corekit_payments.books import Books, lock
from corekit_payments.errors import (
    AmountOutOfRange,
    AttemptUnresolved,
    CurrencyNotSupported,
    OperationOpen,
    PayeeNotSupported,
    PaymentState,
)
from corekit_payments.models import AttemptRow, OperationRow

_ADDRESS_MAX, _AGENT_MAX = 64, 512  # what a client sent is cut, not refused


def demand_payable(provider: Provider, amount: Money, payee: UUID | None) -> None:
    """Refuse what this provider does not take.

    Raises:
        CurrencyNotSupported, AmountOutOfRange, PayeeNotSupported: it does not.

    """
    can = provider.capabilities
    if amount.currency not in can.currencies:
        raise CurrencyNotSupported(pointer="/amount/currency")
    if amount.minor < can.minimum or (can.maximum is not None and amount.minor > can.maximum):
        raise AmountOutOfRange(pointer="/amount/amount")
    if payee is not None and not can.collects_for_users:
        raise PayeeNotSupported(pointer="/payee")


async def add_attempt(
    books: Books, provider: Provider, method: Method, initiator: UUID
) -> tuple[AttemptRow, OperationRow]:
    """Record one with its operation, to be sent by whoever drives it.

    Raises:
        PaymentState: there is nothing to pay any more, or not yet again.

    """
    ctx, payment = books.ctx, books.payment
    if payment.status not in {"requires_payment_method", "requires_action"}:
        raise PaymentState(payment_status=payment.status)
    tries = [one for one in books.operations if one.kind == "authorize"]
    if len(tries) >= payment.max_attempts:
        raise PaymentState("no more attempts", payment_status=payment.status)
    client = ctx.caller.client
    attempt = AttemptRow(
        id=uuid7(), tenant=payment.tenant, payment_id=payment.id, n=len(tries) + 1, payer=payment.payer,
        method_type=str(type(method).__struct_config__.tag), method_token=_token(method),
        address=client.address[:_ADDRESS_MAX], agent=client.user_agent[:_AGENT_MAX],
        device=client.device[:_AGENT_MAX], created_at=ctx.now(),
    )  # fmt: skip
    ctx.session.add(attempt)
    await ctx.session.flush()  # its operation refers to it
    operation = books.begin("authorize", attempt.id, provider.name, payment.amount, initiator=initiator)
    payment.provider = provider.name
    books.settle_columns()
    return attempt, operation


async def free_the_hand(books: Books) -> Books:
    """End what is in hand where it was certainly never sent; return the books as they are then.

    Raises:
        OperationOpen: a driver has it now.
        AttemptUnresolved: it may have been sent.

    """
    op = books.in_hand()
    if op is None:
        return books
    ctx = books.ctx
    if op.lease_until is not None and op.lease_until > ctx.now():
        raise OperationOpen
    if not (op.state == "created" or (op.state == "sending" and op.sends == op.unsent)):
        raise AttemptUnresolved
    ended = Evidence(source="local", state="canceled", occurred_at=ctx.now())
    await apply(ctx, op.id, ended, via="request", token=op.lock_token)
    return await lock(ctx, books.payment.id)


def demand_resolved(books: Books) -> None:
    """Refuse while a provider has accepted an attempt and not decided it (AttemptUnresolved)."""
    if any(_undecided(one) for one in books.operations):
        raise AttemptUnresolved


def _undecided(operation: OperationRow) -> bool:
    return operation.kind == "authorize" and operation.state == "pending"


def _token(method: Method) -> str | None:
    if isinstance(method, TokenMethod | CardMethod):
        return method.token
    return method.name if isinstance(method, RedirectMethod) else None
