"""The states of an operation as data: which follows which, and what evidence may do to one."""

from collections.abc import Mapping
from typing import Literal, get_args

from corekit.contracts.payments import Evidence, OperationKind, OperationState

Verdict = Literal["advance", "late", "refresh", "ignore"]

# Evidence moves an operation up only: whatever comes twice, or in another order, ends the same.
RANKS: Mapping[OperationState, int] = {state: rank for rank, state in enumerate(get_args(OperationState))}

_SENT: frozenset[OperationState] = frozenset(
    {"unknown", "requires_action", "pending", "canceled", "failed", "succeeded"}
)
NEXT: Mapping[OperationState, frozenset[OperationState]] = {
    "created": frozenset({"sending", "canceled", "failed"}),
    "sending": _SENT,
    "unknown": _SENT - {"unknown"},
    "requires_action": frozenset({"pending", "canceled", "failed", "succeeded"}),
    "pending": frozenset({"canceled", "failed", "succeeded"}),
    "canceled": frozenset({"failed", "succeeded"}),
    "failed": frozenset({"succeeded"}),
    "succeeded": frozenset(),
}

FINAL: frozenset[OperationState] = frozenset({"canceled", "failed", "succeeded"})
OPEN: frozenset[OperationState] = frozenset(get_args(OperationState)) - FINAL
IN_HAND: frozenset[OperationState] = frozenset({"created", "sending", "unknown"})  # a driver has work to do
LOCAL: frozenset[OperationState] = frozenset({"created", "sending", "requires_action"})  # what we may end ourselves
LATE: frozenset[OperationState] = frozenset({"canceled", "failed"})  # from here a success comes late


def verdict(kind: OperationKind, now: OperationState, evidence: Evidence) -> Verdict:
    """Say what evidence does to an operation of this kind in this state.

    A success moves money in our books, so it is believed only where the provider itself has said so: in a reply, or in
    what was fetched from it. An event is a hint to fetch, but for disputes, of which there is nothing to fetch. An
    operator may end what is open, and never makes a late success. Of what was never sent nobody but ourselves knows.
    """
    then, ours = evidence.state, evidence.source == "local"
    if (evidence.source == "event" and kind != "dispute") or (now not in LOCAL if ours else now == "created"):
        return "ignore"
    if then == now and now not in FINAL and not ours:
        return "refresh"
    if RANKS[then] <= RANKS[now] or then not in NEXT[now]:
        return "ignore"
    if then == "succeeded" and not _believed(now, evidence):
        return "ignore"
    return "late" if then == "succeeded" and now in LATE else "advance"


def _believed(now: OperationState, evidence: Evidence) -> bool:
    return evidence.source in {"reply", "fetched", "event"} or (evidence.source == "operator" and now not in LATE)
