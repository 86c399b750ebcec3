"""What a limit is: the generic cell rate algorithm (GCRA), one number per key, no history."""

from typing import Literal, Protocol

import msgspec

from corekit.errors import Unavailable
from corekit.watch.logs import get_logger

_OPEN = frozenset(("ip", "prefix", "session"))
_SECOND = 1_000_000


class Rule(msgspec.Struct, frozen=True):
    """`count` hits per `period` seconds, of which `burst` may come at once; `kind` says what a key stands for.

    If the store fails, rules of kind ip, prefix and session let pass; the others answer 503.
    """

    name: str
    count: int
    period: float
    burst: int
    kind: Literal["ip", "prefix", "account", "address", "session", "global"] = "ip"

    def micros(self, cost: int) -> tuple[int, int]:
        """Return what `cost` hits take and what may be taken in advance, both in microseconds.

        Raises:
            ValueError: the cost is more than the burst, so no hit could ever pass.

        """
        if not 0 < cost <= self.burst:
            raise ValueError(f"rule {self.name}: cost must be 1 to {self.burst}")
        step = round(self.period * _SECOND / self.count)
        return step * cost, step * (self.burst - cost)


class Decision(msgspec.Struct, frozen=True):
    """Whether a hit passed; `retry_after` is in seconds, `remaining` counts what may still come at once."""

    allowed: bool
    retry_after: float = 0.0
    remaining: int = 0


class Limits(Protocol):
    """Counts hits, the same way for every plugin. Its verbs may open a context, so none may be open."""

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key; charge before verifying, refund on success."""
        ...

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back exactly what one attempt charged."""
        ...

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key.

        Raises:
            ValueError: the rule is not of kind `account`; mixing in successes would pass any other without bound.

        """
        ...


def passed(rule: Rule, tat: int, now: int) -> Decision:
    """Say that a hit passed, and how many more may come at once."""
    step, _ = rule.micros(1)
    return Decision(allowed=True, remaining=max(0, (now + step * rule.burst - tat) // step))


def refused(start: int, latest: int) -> Decision:
    """Say after how long the next one can pass."""
    return Decision(allowed=False, retry_after=max(start - latest, 1) / _SECOND)


def demand_account(rule: Rule) -> None:
    """Refuse a reset of any other rule."""
    if rule.kind != "account":
        raise ValueError(f"rule {rule.name} is of kind {rule.kind}: only account rules are reset")


def without_store(rule: Rule, error: Exception) -> Decision:
    """Decide without having counted: by what the rule guards."""
    get_logger("corekit.guard").warning("limit_store_failed", tag=rule.name, error=type(error).__name__)
    if rule.kind in _OPEN:
        return Decision(allowed=True)
    raise Unavailable("limits cannot be counted now") from error
