"""Automatic capture: an authorisation that has taken its money along is followed by the capture that it was."""

from corekit.contracts.payments import Evidence
from corekit_payments.books import Books
from corekit_payments.items import close_item, open_item
from corekit_payments.models import OperationRow
from corekit_payments.surplus import make_winner


async def capture_along(books: Books, operation: OperationRow, evidence: Evidence) -> OperationRow | None:
    """Add the capture that came with an authorisation; None where there is none, or it is known.

    Where a capture was asked for by itself, the provider's figure is that one's, and its own evidence will say so.
    """
    taken = evidence.captured
    if operation.kind != "authorize" or operation.state != "succeeded" or taken is None or taken.minor == 0:
        return None
    if evidence.source not in {"reply", "fetched"} or books.asked(operation, {"capture"}):
        return None
    if taken != books.money(operation):
        await open_item(books, operation, "amount", evidence.provider_ref, taken, "succeeded")
        return None
    if (loser := make_winner(books, operation)) is not None:
        await close_item(books, operation, "surplus", "its money is this payment's after all")
        await open_item(books, loser, "surplus", loser.provider_ref, books.money(loser), "succeeded")
    made = books.begin(
        "capture", operation.attempt_id, operation.provider, operation.amount,
        state="succeeded", surplus=operation.surplus, initiator=operation.initiator,
    )  # fmt: skip
    made.provider_ref = operation.provider_ref
    made.fee = operation.fee if evidence.fee is None else evidence.fee.minor
    return made


def learn_fee(books: Books, operation: OperationRow, evidence: Evidence) -> OperationRow | None:
    """Take over what it cost to take money, where that was not known when it was taken; return what took it.

    So the fee is posted whichever evidence is the first to name it.
    """
    if evidence.fee is None or evidence.state != "succeeded" or evidence.source not in {"reply", "fetched"}:
        return None
    for one in books.operations:
        same = one is operation or (one.attempt_id, one.provider_ref) == (operation.attempt_id, evidence.provider_ref)
        if one.kind == "capture" and one.state == "succeeded" and one.fee is None and same:
            one.fee = evidence.fee.minor
            return one
    return None
