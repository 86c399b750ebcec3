"""The one place where an operation changes, whoever brings the evidence: request, webhook, sweeper or operator."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.payments import DisputeStage, Evidence, OperationState, PaymentStatus
from corekit_payments.books import Books, lock_of
from corekit_payments.capturing import capture_along, learn_fee
from corekit_payments.explaining import explain
from corekit_payments.holds import note_hold
from corekit_payments.items import close_item, close_returned, open_item, open_unreturned
from corekit_payments.ledger import post, post_fee_of
from corekit_payments.models import AttemptRow, OperationRow
from corekit_payments.settling import settle
from corekit_payments.surplus import is_surplus
from corekit_payments.telling import Change, Via, tell
from corekit_payments.transitions import FINAL, IN_HAND, LATE, verdict

Outcome = Literal["advance", "late", "refresh", "ignore", "refused", "stale"]
_SEEN = 20  # pieces of evidence that an operation keeps


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence has done: `refused` contradicts what is known, `stale` came from a driver that lost its lease."""

    outcome: Outcome
    state: OperationState
    status: PaymentStatus
    surplus: bool
    version: int


async def apply(ctx: Context, operation: UUID, evidence: Evidence, *, via: Via, token: int | None = None) -> Applied:
    """Let an operation become what evidence shows, with all that follows, in this transaction.

    It locks the payment. Evidence moves an operation up only, so that any order and any repetition ends in the same
    totals; what changes nothing is kept all the same. `token` is a driver's: where its lease has passed to another
    since, nothing is written.

    Raises:
        NotFound: no such operation of this tenant.
        PluginError: this is not a writing context of the purpose `payments`.

    """
    books = await lock_of(ctx, operation)
    op = books.operation(operation)
    if token is not None and token != op.lock_token:
        return applied(books, op, "stale")
    return await apply_to(books, op, evidence, via=via)


async def apply_to(books: Books, op: OperationRow, evidence: Evidence, *, via: Via) -> Applied:
    """Do what `apply` does, for an operation of a payment that this transaction has locked."""
    wrong = await _contradiction(books, op, evidence)
    said: Outcome = "refused" if wrong else _verdict(op, evidence)
    _keep(books, op, evidence, said)
    if wrong:
        await open_item(books, op, wrong, evidence.provider_ref, evidence.amount, evidence.state)
    else:
        await _change(
            books, op, evidence, said, Change(op, via, op.state, books.payment.status, op.review, said == "late")
        )
    return applied(books, op, said)


async def _change(books: Books, op: OperationRow, evidence: Evidence, said: Outcome, before: Change) -> None:
    """Change the operation and all that depends on it in one UPDATE of each row; then tell."""
    seen_before, held_before, named = _visible(op), not op.released, op.provider_ref
    note_hold(op, evidence)
    moved = await _move(books, op, evidence, said) if said != "ignore" else _name(op, evidence)
    if op.state != before.state and op.state == "succeeded":
        op.surplus = is_surplus(books, op)
    taken = await capture_along(books, op, evidence)
    charged = learn_fee(books, op, evidence)
    if op.released and held_before and op.surplus and not books.asked(op, {"capture"}):
        await close_item(books, op, "surplus", "it is not held any more")
    changed = books.settle_columns() or moved or taken is not None or charged is not None
    if not (changed or _visible(op) != seen_before):
        return
    books.payment.version += 1
    books.payment.updated_at = op.updated_at = books.ctx.now()
    await books.ctx.session.flush()
    await post(books, op, before.state)
    if taken is not None:
        await post(books, taken, "created")
    if charged is not None:
        await post_fee_of(books, charged)
    for one in [op] if taken is None else [op, taken]:
        if one.state == "succeeded" and (one is taken or (before.state, named) != (op.state, op.provider_ref)):
            await explain(books.ctx, one)
    await _tell(books, before, taken)
    if before.state in IN_HAND and op.state not in IN_HAND:
        await settle(books.ctx, op.id)


def _name(op: OperationRow, evidence: Evidence) -> bool:
    """Take over at least what the provider calls it."""
    if op.provider_ref is None and op.state != "created" and evidence.source in {"reply", "fetched"}:
        op.provider_ref = evidence.provider_ref
    return False


async def _move(books: Books, op: OperationRow, evidence: Evidence, said: Outcome) -> bool:
    """Take over what evidence says of the operation itself; tell whether the payer has something else to do."""
    before = op.state
    if said != "refresh":
        op.state = evidence.state
        op.error_class = (evidence.error_class or "other") if evidence.state == "failed" else None
    op.provider_ref = evidence.provider_ref or op.provider_ref
    if op.kind == "dispute":
        _stage(op, evidence)
    else:
        op.expires_at = evidence.expires_at or op.expires_at
    op.fee = op.fee if evidence.fee is None else evidence.fee.minor
    if op.state in FINAL:
        op.review, op.next_check_at, op.lease_until = None, None, None
    elif op.state != "unknown" and op.review == "unknown":
        op.review = None
    elif evidence.review is not None:
        op.review = evidence.review
    return op.kind == "authorize" and await _show(books, op, evidence, before)


def _stage(op: OperationRow, evidence: Evidence) -> None:
    """Let the newest word on a dispute's stage and deadline count, not the last to arrive."""
    stages, since = get_args(DisputeStage), op.stage_at or evidence.occurred_at
    if evidence.stage is None or evidence.occurred_at < since:
        return
    if evidence.occurred_at == op.stage_at and stages.index(evidence.stage) < stages.index(op.stage or stages[0]):
        return
    op.stage, op.stage_at, op.expires_at = evidence.stage, evidence.occurred_at, evidence.expires_at or op.expires_at


async def _show(books: Books, op: OperationRow, evidence: Evidence, before: OperationState) -> bool:
    """Keep what the payer has to do, as long as they have to; the attempt's row is not for the payee."""
    if "requires_action" not in {op.state, before} or (op.state == "requires_action" and evidence.next_action is None):
        return False
    with books.ctx.session.no_autoflush:  # the operation is written once, when it is whole
        attempt = await books.ctx.session.get_one(AttemptRow, op.attempt_id)
    action = msgspec.json.encode(evidence.next_action).decode() if op.state == "requires_action" else None
    if attempt.next_action == action:
        return False
    attempt.next_action = action
    return True


async def _tell(books: Books, before: Change, taken: OperationRow | None) -> None:
    changes = [replace(before, took_money=taken is not None)]
    if taken is not None:
        changes.append(Change(taken, before.via, "created", books.payment.status))
    for change in changes:
        one = change.operation
        if one.of is not None and one.state in FINAL and one.state != change.state:
            await _follow_surplus(books, one, one.of, change.via)
        elif one.surplus and one.state == "succeeded" != change.state:
            await open_item(books, one, "surplus", one.provider_ref, books.money(one), "succeeded")
        await tell(books, change)


async def _follow_surplus(books: Books, op: OperationRow, surplus: UUID, via: Via) -> None:
    """See that no more of a surplus goes back than there was, and that a person knows where it is more, or less.

    An operation of it has just ended. What was certainly not sent is ended where another has taken its place; what may
    have been sent is not ours to end: what makes it too much is `superseded` until the other comes to nothing.
    """
    taken, of_it = books.operation(surplus), [one for one in books.operations if one.of == surplus]
    if op.state == "succeeded":
        for one in reversed(of_it):
            if _left_of(taken, of_it) < 0 and one is not op and _is_unsent(books, one):
                ended = Evidence(source="local", state="canceled", occurred_at=books.ctx.now())
                await apply_to(books, one, ended, via=via)
    marked = [one for one in of_it if one.superseded]
    if _left_of(taken, of_it) >= 0:
        for one in marked:
            one.superseded = False
            await close_item(books, one, "returned_twice", "the other one came to nothing")
    elif op.state == "succeeded" and not marked:
        op.superseded = True
        await open_item(books, op, "returned_twice", op.provider_ref, books.money(op), "succeeded")
    if sum(one.amount for one in of_it if one.state == "succeeded") >= taken.amount:
        await close_returned(books, surplus)
    elif op.state in LATE and _left_of(taken, of_it) > 0:
        await open_unreturned(books, taken, op)


def _left_of(taken: OperationRow, of_it: Sequence[OperationRow]) -> int:
    """Say how much of a surplus neither went back nor is on its way; below zero, how much too much."""
    return taken.amount - sum(one.amount for one in of_it if one.state not in LATE)


def _is_unsent(books: Books, one: OperationRow) -> bool:
    if one.kind != "refund" or (one.lease_until is not None and one.lease_until > books.ctx.now()):
        return False
    return one.state == "created" or (one.state == "sending" and one.sends == one.unsent)


def _verdict(op: OperationRow, evidence: Evidence) -> Outcome:
    """Ask the table; an operation that may have been sent is not ours to end."""
    if evidence.source == "local" and op.state == "sending" and op.sends != op.unsent:
        return "ignore"
    return verdict(op.kind, op.state, evidence)


async def _contradiction(books: Books, op: OperationRow, evidence: Evidence) -> str | None:
    """Name what cannot be true of this operation: another amount, or an object that is another operation's."""
    theirs, ours = evidence.amount, books.money(op)
    if theirs is not None and theirs != ours:
        return "amount" if theirs.currency == ours.currency else "currency"
    ref = evidence.provider_ref
    if ref is None or ref == op.provider_ref:
        return None
    if op.provider_ref is not None and op.state == evidence.state == "succeeded":
        return "reference"  # two objects have both moved this money
    of_another = select(OperationRow.id).where(
        OperationRow.provider == op.provider,
        OperationRow.provider_ref == ref,
        OperationRow.kind == op.kind,
        OperationRow.id != op.id,
    )
    with books.ctx.session.no_autoflush:  # the operation is written once, when it is whole
        return "reference" if await books.ctx.session.scalar(of_another) is not None else None


def _keep(books: Books, op: OperationRow, evidence: Evidence, said: Outcome) -> None:
    """Keep evidence with what came of it, the same but once."""
    shown: dict[str, Any] = msgspec.to_builtins(evidence)
    shown.pop("next_action")  # it may hold a client's secret
    shown.pop("reference")  # it is the operation's own
    if all(one["evidence"] | {"occurred_at": shown["occurred_at"]} != shown for one in op.seen):
        op.seen = [*op.seen, {"outcome": said, "evidence": shown}][-_SEEN:]
        op.updated_at = books.ctx.now()


def _visible(op: OperationRow) -> tuple[object, ...]:
    return (op.state, op.surplus, op.provider_ref, op.expires_at, op.stage, op.review, op.error_class, op.fee)


def applied(books: Books, op: OperationRow, outcome: Outcome) -> Applied:
    """Say where evidence has left an operation and its payment."""
    payment = books.payment
    return Applied(outcome=outcome, state=op.state, status=payment.status, surplus=op.surplus, version=payment.version)
