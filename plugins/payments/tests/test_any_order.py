"""Evidence in any order and however often ends in the same totals, on real tables, whose CHECKs hold at every step."""

from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from corekit.contracts.payments import OperationKind, OperationState
from corekit.values import Money
from corekit_payments.transitions import IN_HAND

AMOUNT = 1000
TOTALS = ("authorized", "captured", "capture_pending", "refunded", "refund_pending", "disputed")
OUTCOMES: tuple[OperationState, ...] = ("unknown", "requires_action", "pending", "canceled", "failed", "succeeded")


class Step(msgspec.Struct, frozen=True):
    """An operation that a verb began, and where it stands when the evidence comes."""

    kind: OperationKind
    amount: int
    state: OperationState
    final: bool


class Word(msgspec.Struct, frozen=True):
    """A piece of evidence about the step at this place."""

    at: int
    state: OperationState
    source: str
    captured: int | None
    amount: int | None
    ref: str | None


class Story(msgspec.Struct, frozen=True):
    """What was asked of a payment, what is learnt of it, and two orders in which that comes, repetitions included."""

    manual: bool
    canceled: bool
    steps: list[Step]
    words: list[Word]
    orders: list[list[int]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Ask for attempts, or of a first one that succeeded for captures or refunds."""
    shape, canceled = draw(st.sampled_from(["attempts", "captures", "captures", "refunds"])), False
    steps = [] if shape == "attempts" else [Step("authorize", AMOUNT, "succeeded", True)]
    if shape == "refunds":
        steps.append(Step("capture", AMOUNT, "succeeded", True))
        steps += draw(st.lists(_later("refund", "refund", "dispute"), min_size=1, max_size=4))
    else:
        others = st.sampled_from(["requires_action", "pending", "canceled", "failed"])
        attempts = draw(st.integers(0, 1) if steps else st.integers(1, 3))
        steps += [Step("authorize", AMOUNT, draw(others), True) for _ in range(attempts)]
        if shape == "captures":
            steps += draw(st.lists(_later("capture", "capture", "void"), min_size=1, max_size=4))
        else:
            canceled = draw(st.booleans())
    last = draw(st.sampled_from([*IN_HAND - {"created"}, steps[-1].state]))
    if steps[-1].state not in {"succeeded", "created"}:  # one operation at most is in hand
        steps[-1] = msgspec.structs.replace(steps[-1], state=last)
    words = draw(st.lists(_word(len(steps)), min_size=3, max_size=7))
    twice = [*range(len(words)), *draw(st.lists(st.integers(0, len(words) - 1), max_size=3))]
    orders = [draw(st.permutations(twice)), draw(st.permutations(range(len(words))))]
    return Story(draw(st.booleans()), canceled, steps, words, orders)


@st.composite
def _later(draw: st.DrawFn, *kinds: OperationKind) -> Step:
    kind = draw(st.sampled_from(kinds))
    amount = draw(st.sampled_from([400, 600, AMOUNT]))
    state: OperationState = draw(st.sampled_from(["pending", "canceled", "failed", "succeeded"]))
    return Step(kind, amount, state, draw(st.booleans()))


@st.composite
def _word(draw: st.DrawFn, steps: int) -> Word:
    return Word(
        draw(st.integers(0, steps - 1)),
        draw(st.sampled_from([*OUTCOMES, "succeeded", "failed"])),
        draw(st.sampled_from(["reply", "fetched", "fetched", "event"])),
        draw(st.sampled_from([None, AMOUNT])),
        draw(st.sampled_from([None, None, -1])),
        draw(st.sampled_from([None, "a", "a"])),
    )


async def ask(till: Any, story: Story) -> tuple[UUID, list[UUID | None]]:
    """Begin what the story asks for, leaving out what a verb would refuse."""
    payment = await till.payment(
        AMOUNT, capture_method="manual" if story.manual else "automatic",
        cancel_requested_at=till.kit.clock.now() if story.canceled else None,
    )  # fmt: skip
    operations: list[UUID | None] = []
    for step in story.steps:
        books = await till.books(payment)
        row, attempt = books.payment, books.operations[0].attempt_id if books.operations else None
        room = {
            "capture": row.authorized - row.captured - row.capture_pending,
            "refund": row.captured - row.refunded - row.refund_pending,
        }.get(step.kind, AMOUNT)
        closed = any(one.kind == "void" or (one.kind == "capture" and one.final) for one in books.operations)
        if step.amount > room or (step.kind in {"capture", "void"} and closed):
            operations.append(None)
            continue
        given = {"state": step.state, "final": step.final}
        attempt = None if step.kind == "authorize" else attempt
        operations.append(await till.begin(payment, step.kind, step.amount, attempt=attempt, **given))
    return payment, operations


async def tell(till: Any, say: Any, story: Story, order: list[int]) -> dict[str, int]:
    """Bring the evidence in one order, and return what is left: the totals, and what has moved beside them."""
    payment, operations = await ask(till, story)
    for word in (story.words[at] for at in order):
        operation, step = operations[word.at], story.steps[word.at]
        if operation is None:
            continue
        said = say(
            word.state, word.source,
            captured=word.captured if step.kind == "authorize" and word.state == "succeeded" else None,
            amount=None if word.amount is None else Money(step.amount + word.amount, "INR"),
            provider_ref=word.ref and f"{operation}-{word.ref}",
        )  # fmt: skip
        await till.apply(operation, said)
    books = await till.books(payment)
    moved = dict.fromkeys(get_args(OperationKind), 0)
    for one in books.operations:
        if one.state == "succeeded":
            moved[one.kind] += one.amount
        event(f"{one.kind} {one.state}{' surplus' if one.surplus else ''}")
    return {name: getattr(books.payment, name) for name in TOTALS} | moved


USED_SINCE = Story(  # what the first would take is given to the second, which then fails
    True,
    False,
    [
        Step("authorize", AMOUNT, "succeeded", True),
        Step("capture", 600, "failed", False),
        Step("capture", 600, "sending", False),
    ],
    [Word(1, "succeeded", "fetched", None, None, None), Word(2, "failed", "fetched", None, None, None)],
    [[0, 1], [1, 0]],
)
HELD_AND_TAKEN = Story(  # one attempt holds the money, another one takes it
    False,
    False,
    [Step("authorize", AMOUNT, "requires_action", True), Step("authorize", AMOUNT, "sending", True)],
    [Word(0, "succeeded", "fetched", None, None, "a"), Word(1, "succeeded", "reply", AMOUNT, None, "a")],
    [[0, 1], [1, 0, 0, 1]],
)


REFUSED_AND_REPLIED = Story(
    False,
    False,
    [Step("authorize", AMOUNT, "sending", True)],
    [Word(0, "failed", "fetched", None, None, None), Word(0, "succeeded", "reply", None, None, None)],
    [[0, 1], [1, 0]],
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories())
@example(story=USED_SINCE)
@example(story=HELD_AND_TAKEN)
@example(story=REFUSED_AND_REPLIED)
@pytest.mark.timeout(300)
async def test_evidence_in_any_order_and_however_often_ends_in_the_same_totals(
    till: Any, say: Any, story: Story
) -> None:
    """Each of these turns it red: no ranks, no `superseded`, captures that come twice, a holder that stays."""
    one, other = [await tell(till, say, story, order) for order in story.orders]
    assert one == other
