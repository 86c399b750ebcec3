"""What a driver does next with an open operation, and when somebody looks at it again: no table, no clock, no call."""

import random
from datetime import datetime, timedelta
from typing import Literal, Protocol

from corekit.contracts.payments import Capabilities, OperationState

Step = Literal["send", "look_up", "fetch", "look"]
Absent = Literal["send", "wait", "review"]
_RETRY, _RETRY_MAX = 1.0, 3600.0  # seconds until what was not attempted is sent again, doubled each time


class Sent(Protocol):
    """What of an operation the next step depends on; `sent_at` is the last time it may have been sent."""

    state: OperationState
    provider_ref: str | None
    sends: int
    unsent: int
    sent_at: datetime | None
    created_at: datetime


def step_of(op: Sent, can: Capabilities, now: datetime, key_window: timedelta) -> Step:
    """Say what to do: what was certainly never sent is sent, what may have been is sent only under a living key.

    `look` is a look-up after which nothing may be sent any more.
    """
    if op.state in {"requires_action", "pending"}:
        return "fetch" if op.provider_ref else "look"
    if op.sends == op.unsent:
        return "send"
    if op.state == "sending" and can.keys and _lives(op, can, now, key_window):
        return "send"  # their answer was lost with its driver: the same key brings it again
    return "look_up"


def absent(op: Sent, can: Capabilities, now: datetime, key_window: timedelta) -> Absent:
    """Say what follows where a look-up has found nothing."""
    if can.keys and _lives(op, can, now, key_window):
        return "send"
    settled = op.sent_at is None or now - op.sent_at >= can.lookup_settles_after
    if not settled and can.lookup:
        return "wait"
    return "send" if not can.keys and can.lookup else "review"


def check_after(can: Capabilities, checks: int) -> timedelta:
    """Say how long after its last look what is open is looked at again."""
    return can.poll_schedule[min(checks, len(can.poll_schedule) - 1)]


def retry_after(unsent: int, asked: timedelta | None) -> timedelta:
    """Say how long to wait before sending again what was not attempted: doubling, with jitter, no less than asked."""
    longest = min(_RETRY * 2 ** min(unsent, 20), _RETRY_MAX)
    return max(timedelta(seconds=longest * random.uniform(0.5, 1)), asked or timedelta())  # noqa: S311  # no secret


def _lives(op: Sent, can: Capabilities, now: datetime, key_window: timedelta) -> bool:
    """Tell whether the provider still knows the key, counted from before it can have been sent."""
    return now - op.created_at < min(key_window, can.key_window)
