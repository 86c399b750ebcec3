"""Which money is real and not owed any more; decided by what was asked for, not by the order of evidence."""

from corekit_payments.books import Books
from corekit_payments.models import OperationRow
from corekit_payments.transitions import OPEN


def is_surplus(books: Books, operation: OperationRow) -> bool:
    """Say of an operation that has just succeeded whether its money is not this payment's any more.

    An authorisation is surplus after another has won or the payment was cancelled; a capture or refund where what it
    would have moved was given to another since, or where there is no room for it.
    """
    if operation.surplus or operation.superseded:
        return True
    others = [one for one in books.counted(operation.kind) if one is not operation]
    done = sum(one.amount for one in others if one.state == "succeeded")
    if operation.kind == "authorize":
        return books.payment.cancel_requested_at is not None or done > 0
    if operation.kind in {"capture", "refund"}:
        room = books.payment.captured if operation.kind == "refund" else books.payment.authorized
        pending = sum(one.amount for one in others if one.state in OPEN)
        return done + pending + operation.amount > room
    return False


def make_winner(books: Books, operation: OperationRow) -> OperationRow | None:
    """Let a surplus authorisation that took its money win over one that merely holds some; return that one.

    Only where nobody has asked anything of the other one: what was asked for stands.
    """
    winner = books.winner()
    if not operation.surplus or books.payment.cancel_requested_at is not None or winner is None:
        return None
    if books.asked(winner, {"capture", "void"}):
        return None
    winner.surplus, operation.surplus = True, False
    return winner
