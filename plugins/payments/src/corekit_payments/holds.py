"""What is held and not taken is held for a time only: who learns that it is over, and when."""

from corekit.contracts.payments import Evidence
from corekit_payments.models import OperationRow


def note_hold(op: OperationRow, evidence: Evidence) -> None:
    """Keep when an authorisation was last known to be held, and when to be over; the newest word counts, in any order.

    It is over where its provider has cancelled it after it had succeeded, or after its own time: what is shown as held
    past that is not held again by it. Of ours only that time's end counts, and no payer who was too slow.
    """
    if op.kind != "authorize":
        return
    at, until = evidence.occurred_at, evidence.expires_at
    known = evidence.source in {"reply", "fetched"}
    if evidence.state == "succeeded" and known and (until is None or until > at):
        op.held_at = at if op.held_at is None else max(at, op.held_at)
    ours = evidence.source == "local" and op.state == "succeeded" and op.expires_at is not None and op.expires_at <= at
    if evidence.state == "canceled" and (known or ours):
        op.released_at = at if op.released_at is None else max(at, op.released_at)
