"""The table of an operation's states, and what evidence may do to one."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.contracts.payments import EvidenceSource, OperationKind, OperationState
from corekit_payments.transitions import FINAL, IN_HAND, LATE, NEXT, OPEN, RANKS, verdict

STATES: tuple[OperationState, ...] = get_args(OperationState)
states = st.sampled_from(STATES)
kinds = st.sampled_from(get_args(OperationKind))
sources = st.sampled_from(get_args(EvidenceSource))


def test_the_ranks_are_those_of_the_design() -> None:
    ranked = ["created", "sending", "unknown", "requires_action", "pending", "canceled", "failed", "succeeded"]
    assert sorted(RANKS, key=lambda state: RANKS[state]) == ranked
    assert {"canceled", "failed", "succeeded"} == FINAL
    assert IN_HAND == {"created", "sending", "unknown"} < OPEN == set(STATES) - FINAL


def test_every_step_goes_up_and_each_end_is_reached() -> None:
    assert set(NEXT) == set(STATES)
    assert all(RANKS[then] > RANKS[now] for now, many in NEXT.items() for then in many)
    assert {then for many in NEXT.values() for then in many} == set(STATES) - {"created"}
    assert NEXT["created"] == {"sending", "canceled", "failed"}
    assert [sorted(NEXT[state]) for state in ("canceled", "failed", "succeeded")] == [
        ["failed", "succeeded"], ["succeeded"], []
    ]  # fmt: skip


@given(kinds, states, states, sources)
def test_evidence_never_moves_an_operation_down(
    say: Any, kind: OperationKind, now: OperationState, then: OperationState, source: EvidenceSource
) -> None:
    """Without the comparison of ranks a failure that comes second would undo a success."""
    outcome = verdict(kind, now, say(then, source))
    if outcome in {"advance", "late"}:
        assert RANKS[then] > RANKS[now]
        assert then in NEXT[now]
        assert (outcome == "late") == (then == "succeeded" and now in LATE)
    elif outcome == "refresh":
        assert now == then


@given(kinds, states, states)
def test_an_event_is_a_hint_but_for_a_dispute(
    say: Any, kind: OperationKind, now: OperationState, then: OperationState
) -> None:
    outcome = verdict(kind, now, say(then, "event"))
    assert outcome == "ignore" if kind != "dispute" else outcome == verdict(kind, now, say(then, "fetched"))


@pytest.mark.parametrize("now", STATES)
def test_what_was_never_sent_only_we_end_and_what_may_have_been_only_they(say: Any, now: OperationState) -> None:
    theirs = [verdict("authorize", now, say(then)) for then in STATES]
    ours = [verdict("authorize", now, say(then, "local")) for then in ("canceled", "failed")]
    assert (set(theirs) == {"ignore"}) == (now in {"created", "succeeded"})
    assert (set(ours) != {"ignore"}) == (now in {"created", "sending", "requires_action"})


def test_an_operator_ends_what_is_open_and_nothing_else(say: Any) -> None:
    assert verdict("authorize", "unknown", say("succeeded", "operator")) == "advance"
    assert verdict("authorize", "failed", say("succeeded", "operator")) == "ignore"
    assert verdict("authorize", "failed", say("succeeded", "fetched")) == "late"
