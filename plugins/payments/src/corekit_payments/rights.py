"""Who may do what with a payment: its payer and payee by being these, everybody else by a permission."""

from uuid import UUID

from corekit.context import Context
from corekit.contracts.access import Permission, Scope
from corekit.errors import NotFound, Refused, Unauthenticated
from corekit_payments.books import Books
from corekit_payments.fraud.rows import MANAGE
from corekit_payments.ledger.rows import READ_LEDGER
from corekit_payments.models import READ, RECONCILE, PaymentRow

CAPTURE, REVIEW, REFUND = "payments:payment:capture", "payments:payment:review", "payments:refund:create"
_SCOPES: frozenset[Scope] = frozenset({"global", "tenant"})
PERMISSIONS = tuple(
    Permission(name, description, _SCOPES)
    for name, description in (
        (READ, "See every payment, and what was asked of providers for it"),
        (CAPTURE, "Take what is held, or release it"),
        (REVIEW, "Let a payment go that was held back, or refuse it for good"),
        (REFUND, "Give captured money back"),
        (RECONCILE, "See what differs from a provider's books, have an operation looked up, and resolve it"),
        (MANAGE, "See what the fraud rules decided, and change the rules and the list of who is blocked"),
        (READ_LEDGER, "See the accounts of the ledger and what is posted to them"),
    )
)


def person_of(ctx: Context) -> UUID:
    """Return whom this is for (Unauthenticated where it is nobody)."""
    if ctx.on_behalf_of is None:
        raise Unauthenticated
    return ctx.on_behalf_of.id


def demand_payer(books: Books) -> None:
    """Let the payer act.

    Raises:
        Refused: somebody who sees the payment, and does not pay it.
        NotFound: somebody else.

    """
    person = person_of(books.ctx)
    if person == books.payment.payer:
        return
    if person == books.payment.payee or READ in permissions_of(books.ctx):
        raise Refused("that is for the payer alone")
    raise NotFound


def demand_permission(books: Books, permission: str) -> None:
    """Let those act who hold a permission.

    Raises:
        Refused: somebody who sees the payment, and does not hold it.
        NotFound: somebody else.

    """
    demand(books.ctx, books.payment, permission)


def demand(ctx: Context, payment: PaymentRow, permission: str) -> None:
    """Do what `demand_permission` does, where nothing is locked."""
    held, person = permissions_of(ctx), person_of(ctx)
    if permission in held:
        return
    if person in {payment.payer, payment.payee} or READ in held:
        raise Refused(f"needs the permission {permission}")
    raise NotFound


def demand_held(ctx: Context, permission: str) -> None:
    """Let those act who hold a permission, where it is about no payment (Refused)."""
    if permission not in permissions_of(ctx):
        raise Refused(f"needs the permission {permission}")


def demand_may_cancel(books: Books) -> None:
    """Let the payer cancel before anything is held, and those who may capture at any time (Refused, NotFound)."""
    if CAPTURE in permissions_of(books.ctx):
        return
    demand_payer(books)
    if books.winner() is not None:
        raise Refused(f"what is authorised is cancelled by those with {CAPTURE}")


def permissions_of(ctx: Context) -> frozenset[str]:
    """Return what the person may do for whom this is; nobody may do anything."""
    return ctx.kit.permissions(ctx.on_behalf_of) if ctx.on_behalf_of is not None else frozenset()
