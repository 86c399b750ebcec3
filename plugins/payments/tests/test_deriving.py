"""Status and totals follow from the operations: one example for each rule, in the order of the rules."""

from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.contracts.payments import OperationKind, OperationState
from corekit_payments.deriving import Derived, Fact, Intent, derive
from corekit_payments.transitions import OPEN


def facts(*given: tuple[Any, ...]) -> list[Fact]:
    """Write operations as (kind, state, amount, other fields)."""
    return [
        Fact(seq=seq, kind=kind, state=state, amount=rest[0] if rest else 100, **(rest[1] if len(rest) > 1 else {}))
        for seq, (kind, state, *rest) in enumerate(given, 1)
    ]


AUTHORIZED = ("authorize", "succeeded")
EXPIRED = ("authorize", "succeeded", 100, {"released": True})
BLOCKED = {"error_class": "blocked"}
STATUSES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("needs_review", [("authorize", "created", 100, {"review": "fraud"})]),
    ("needs_review", [AUTHORIZED, ("capture", "succeeded", 100), ("refund", "unknown", 10, {"review": "unknown"})]),
    ("partially_captured", [AUTHORIZED, ("capture", "succeeded", 40, {"final": False})]),
    ("succeeded", [AUTHORIZED, ("capture", "succeeded", 40)]),
    ("succeeded", [AUTHORIZED, ("capture", "succeeded", 40, {"final": False}), ("void", "succeeded", 60)]),
    ("succeeded", [AUTHORIZED, ("capture", "succeeded", 100, {"final": False})]),
    ("succeeded", [AUTHORIZED, ("capture", "succeeded", 100), ("refund", "succeeded", 100)]),
    ("requires_capture", [AUTHORIZED]),
    ("requires_capture", [AUTHORIZED, ("capture", "pending", 100)]),
    ("requires_capture", [AUTHORIZED, ("void", "pending", 100)]),
    ("requires_capture", [AUTHORIZED, ("capture", "failed", 100)]),
    ("canceled", [AUTHORIZED, ("void", "succeeded", 100)]),
    ("canceled", [EXPIRED]),
    ("canceled", [EXPIRED, ("capture", "failed", 100), ("authorize", "requires_action")]),
    ("processing", [EXPIRED, ("capture", "unknown", 100)]),
    ("succeeded", [EXPIRED, ("capture", "succeeded", 40, {"final": False})]),
    ("requires_action", [("authorize", "requires_action")]),
    ("processing", [("authorize", "unknown")]),
    ("processing", [("authorize", "created")]),
    ("processing", [("authorize", "pending"), ("authorize", "failed")]),
    ("requires_action", [("authorize", "pending"), ("authorize", "requires_action")]),
    ("failed", [("authorize", "failed", 100, BLOCKED)]),
    ("failed", [("authorize", "failed")] * 5),
    ("requires_payment_method", [("authorize", "failed")] * 4),
    ("requires_payment_method", [("authorize", "failed", 100, BLOCKED), ("authorize", "canceled")]),
    ("requires_payment_method", []),
    ("requires_capture", [AUTHORIZED, ("authorize", "succeeded", 100, {"surplus": True})]),
]


@pytest.mark.parametrize(("status", "given"), STATUSES)
def test_the_first_rule_that_fits_names_the_status(status: str, given: list[tuple[Any, ...]]) -> None:
    assert derive(Intent(), facts(*given)).status == status


@pytest.mark.parametrize(
    ("status", "given"),
    [
        ("canceled", []),
        ("canceled", [("authorize", "failed", 100, BLOCKED)]),
        ("processing", [("authorize", "pending")]),
        ("canceled", [("authorize", "succeeded", 100, {"surplus": True})]),
    ],
)
def test_a_cancelled_payment_waits_for_what_is_open(status: str, given: list[tuple[Any, ...]]) -> None:
    assert derive(Intent(cancel_requested=True), facts(*given)).status == status


@pytest.mark.parametrize(
    ("refund_status", "given"),
    [
        ("none", []),
        ("pending", [("refund", "created", 10)]),
        ("pending", [("refund", "succeeded", 10), ("refund", "unknown", 10)]),
        ("partial", [("refund", "succeeded", 10), ("refund", "failed", 10)]),
        ("full", [("refund", "succeeded", 60), ("refund", "succeeded", 40)]),
        ("failed", [("refund", "failed", 10)]),
        ("failed", [("refund", "canceled", 10)]),
        ("none", [("refund", "succeeded", 10, {"surplus": True})]),
    ],
)
def test_refunds_have_a_status_of_their_own(refund_status: str, given: list[tuple[Any, ...]]) -> None:
    derived = derive(Intent(), facts(AUTHORIZED, ("capture", "succeeded", 100), *given))
    assert (derived.status, derived.refund_status) == ("succeeded", refund_status)


@pytest.mark.parametrize(
    ("dispute_status", "disputed", "given"),
    [
        ("none", 0, []),
        ("opened", 30, [("dispute", "pending", 30)]),
        ("under_review", 30, [("dispute", "pending", 30, {"stage": "under_review"})]),
        ("won", 0, [("dispute", "canceled", 30)]),
        ("lost", 30, [("dispute", "succeeded", 30)]),
        ("opened", 50, [("dispute", "succeeded", 30), ("dispute", "pending", 20)]),
        ("opened", 50, [("dispute", "pending", 30), ("dispute", "succeeded", 20)]),
    ],
)
def test_disputes_have_a_status_of_their_own(dispute_status: str, disputed: int, given: list[tuple[Any, ...]]) -> None:
    derived = derive(Intent(), facts(AUTHORIZED, ("capture", "succeeded", 100), *given))
    assert (derived.status, derived.dispute_status, derived.disputed) == ("succeeded", dispute_status, disputed)


many = st.lists(
    st.tuples(
        st.sampled_from(get_args(OperationKind)),
        st.sampled_from(get_args(OperationState)),
        st.integers(1, 100),
        st.booleans(),
    ),
    max_size=6,
)


@given(many)
def test_whatever_is_open_counts_as_pending_and_surplus_as_nothing(given: list[tuple[Any, ...]]) -> None:
    """Without it two refunds could be made of what one of them is about to take."""
    every = facts(*((kind, state, amount, {"surplus": surplus}) for kind, state, amount, surplus in given))
    derived = derive(Intent(), every)
    for kind, done, waiting in [
        ("capture", derived.captured, derived.capture_pending),
        ("refund", derived.refunded, derived.refund_pending),
    ]:
        counted = [one for one in every if one.kind == kind and not one.surplus]
        assert done == sum(one.amount for one in counted if one.state == "succeeded")
        assert waiting == sum(one.amount for one in counted if one.state in OPEN)
    assert derive(Intent(), [one for one in every if not one.surplus]).captured == derived.captured


@given(many.filter(lambda given: len(given) <= 4))
def test_the_order_in_which_rows_are_read_does_not_matter(given: list[tuple[Any, ...]]) -> None:
    every = facts(*((kind, state, amount, {"surplus": surplus}) for kind, state, amount, surplus in given))
    derived: set[Derived] = {derive(Intent(), order) for order in permutations(every)}
    assert len(derived) == 1
