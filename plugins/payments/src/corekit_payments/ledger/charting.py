"""Which accounts there are: ours, or those of somebody's own chart, whose answer has to add up."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from corekit.contracts.payments import OperationState, Posting, ledger_postings
from corekit.watch import get_logger
from corekit_payments import reading
from corekit_payments.books import Books
from corekit_payments.ledger.rows import AccountKind
from corekit_payments.models import OperationRow

_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}(:[A-Za-z0-9_-]{1,64}){0,3}")
_ASSETS = frozenset({"clearing", "disputes", "bank", "fees"})  # they grow by what is debited
# The state that an operation enters with what is posted. A fee is always ours to post, and so is what comes late: it
# undoes what was posted before, and from the operation alone nobody sees that.
_STATES: Mapping[str, OperationState] = {
    "capture": "succeeded",
    "surplus": "succeeded",
    "refund_created": "created",
    "refund_done": "succeeded",
    "refund_failed": "failed",
    "surplus_refund": "succeeded",
    "dispute_opened": "pending",
    "dispute_won": "canceled",
    "dispute_lost": "succeeded",
    "surplus_lost": "succeeded",
}


def kind_of(code: str) -> AccountKind:
    """Say what an account is, by the first part of its code."""
    return "asset" if code.partition(":")[0] in _ASSETS else "liability"


async def asked(books: Books, op: OperationRow, kind: str) -> Sequence[Posting]:
    """Ask `ledger_postings`; empty where nobody answers, or the answer cannot be posted, which the log says."""
    ctx, state = books.ctx, _STATES.get(kind)
    if state is None or not ctx.kit.hooks.implementors(ledger_postings):
        return ()
    shown = msgspec.structs.replace(reading.operation(op, books.payment.currency), state=state)
    if kind == "refund_failed":  # the promise is taken back, also where the money has gone as a surplus
        shown = msgspec.structs.replace(shown, surplus=False)
    answer = await ctx.kit.hooks.first(ledger_postings, shown, ctx)
    if answer is None:
        return ()
    if not _fits(answer, books, op):
        get_logger("corekit.payments").error("payments_postings_refused", reason=kind)
        return ()
    return answer


def _fits(answer: Sequence[Posting], books: Books, op: OperationRow) -> bool:
    """Tell whether it is the operation's amount, all of it, between accounts that can be."""
    pairs = all(
        one.amount.minor > 0
        and one.amount.currency == books.payment.currency
        and one.debit != one.credit
        and _CODE.fullmatch(one.debit)
        and _CODE.fullmatch(one.credit)
        for one in answer
    )
    return bool(pairs) and sum(one.amount.minor for one in answer) == op.amount
