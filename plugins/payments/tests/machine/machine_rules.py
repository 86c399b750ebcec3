"""Which verbs must be refused with which problem, and what calls at the wire make of the model: the design again."""

from collections.abc import Iterable
from copy import deepcopy

from machine_model import ACTION_TTL, KEY_WINDOW, LEASE, MOST_ATTEMPTS, Op, Paid  # beside this file
from machine_wire import Passed

from corekit.contracts.payments import Evidence

SETTLES = 60  # seconds after which a look-up that finds nothing is believed


def hand_of(paid: Paid, now: float) -> str | None:
    """Say why what is in hand cannot give way (§2): it is driven just now, or may have been sent."""
    op = paid.hand
    if op is None:
        return None
    if op.leased > now:
        return "operation-open"
    unsent = op.state == "created" or (op.state == "sending" and op.sends == op.unsent)
    return None if unsent else "attempt-unresolved"


def confirm(paid: Paid, now: float) -> str | None:
    """Refuse another attempt."""
    if any(one.state == "created" and one.review == "fraud" for one in paid.ops):
        return "payment-state"
    if (why := hand_of(paid, now)) is not None:
        return why
    if any(one.kind == "authorize" and one.state == "pending" for one in paid.ops):
        return "attempt-unresolved"
    tries = sum(one.kind == "authorize" for one in paid.ops)
    then = deepcopy(paid)
    if then.hand is not None:
        then.end_locally(then.hand, "canceled")
    status = then.status()
    payable = status in {"requires_payment_method", "requires_action"} and tries < MOST_ATTEMPTS
    return None if payable else "payment-state"


def cancel(paid: Paid, who: str, now: float) -> str | None:
    """Refuse to cancel; None where it is done, or was before."""
    if who != "clara" and paid.winner is not None:
        return "refused"
    if paid.cancel_requested or paid.status() == "canceled":
        return None
    if paid.done("capture") or paid.pending("capture"):
        return "payment-state"
    return hand_of(paid, now)


def within(paid: Paid, amount: int | None, left: int) -> str | None:
    """Refuse what is too much, or too little, or comes beside something in hand."""
    if paid.hand is not None:
        return "operation-open"
    if amount is not None and amount <= 0:
        return "amount-out-of-range"
    return "amount-exceeds-remaining" if (left if amount is None else amount) > left or left == 0 else None


def capture(paid: Paid, amount: int | None, now: float) -> str | None:
    """Refuse to take what is held."""
    held = paid.winner
    if held is None or paid.status() not in {"requires_capture", "partially_captured"}:
        return "payment-state"
    if held.expires is not None and held.expires <= now:
        return "payment-state"
    return within(paid, amount, capturable(paid))


def refund(paid: Paid, amount: int | None) -> str | None:
    """Refuse to give money back."""
    if paid.winner is None or not paid.done("capture"):
        return "payment-state"
    if paid.dispute_status() in {"opened", "under_review"}:
        return "dispute-open"
    return within(paid, amount, refundable(paid))


def review(paid: Paid) -> str | None:
    """Refuse a verdict where nothing waits for one."""
    held = any(one.state == "created" and one.review == "fraud" for one in paid.ops)
    return None if held else "payment-state"


def capturable(paid: Paid) -> int:
    """Return what is left to take."""
    return paid.done("authorize") - paid.done("capture") - paid.pending("capture")


def refundable(paid: Paid) -> int:
    """Return what is left to give back."""
    totals = paid.totals()
    return max(0, totals["captured"] - totals["refunded"] - totals["refund_pending"] - totals["disputed"])


def driven(paid: Paid, op: Op, passed: Iterable[Passed], now: float) -> None:
    """Follow what a driver has done with an operation: what it has sent, and what it has heard."""
    for call in passed:
        op.leased = -1
        if call.verb == "take":
            young = now - op.at < KEY_WINDOW
            assert young or op.sends == op.unsent, "sent again under a key that is too old"
            op.state, op.sends, op.sent = "sending" if op.state == "created" else op.state, op.sends + 1, now
        match call.heard:
            case "killed":
                op.leased = now + LEASE
            case "unsent":
                op.unsent += call.verb == "take"
            case "lost" if call.verb == "take":
                paid.hear(op, "unknown")
            case "nothing" if now - op.at >= KEY_WINDOW and now - op.sent >= SETTLES and op.in_hand:
                paid.hear(op, "unknown")
                op.review = "unknown"
            case Evidence():
                heard(paid, op, call.heard)
        if isinstance(call.heard, Evidence) and op.state == "requires_action" and now - op.at >= ACTION_TTL:
            paid.end_locally(op, "canceled")


def heard(paid: Paid, op: Op, shown: Evidence) -> None:
    """Follow what an object of the provider's shows."""
    at = shown.occurred_at.timestamp()
    if op.kind == "dispute":
        paid.hear_of_dispute(op, str(shown.provider_ref), op.amount, (shown.state, shown.stage, at))
    else:
        paid.hear(op, shown.state, shown.provider_ref, at=at, error=shown.error_class)


def noticed(paid: Paid, op: Op, passed: Iterable[Passed]) -> None:
    """Follow a notice, which is a hint to fetch: a release has no object, and no stranger's name ends an operation."""
    for call in passed:
        assert op.kind != "void"
        if isinstance(call.heard, Evidence) and (op.ref is not None or call.heard.state not in {"failed", "canceled"}):
            heard(paid, op, call.heard)
