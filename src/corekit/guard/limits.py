"""Rate limits: the generic cell rate algorithm (GCRA), one number per key, no history."""

import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from corekit.context import Kit

PURPOSE = "corekit.limits"


class Rule(msgspec.Struct, frozen=True):
    """`count` hits per `period` seconds, of which `burst` may come at once; `kind` says what a key stands for."""

    name: str
    count: int
    period: float
    burst: int
    kind: Literal["ip", "prefix", "account", "address", "global"] = "ip"


class Decision(msgspec.Struct, frozen=True):
    """Whether a hit passed; `retry_after` is in seconds."""

    allowed: bool
    retry_after: float = 0.0
    remaining: int = 0


class Limits(Protocol):
    """Counts hits, the same way for every plugin."""

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key; charge before verifying, refund on success."""
        ...

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back exactly what one attempt charged."""
        ...

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key; only for rules of kind `account`."""
        ...


class MemoryLimits:
    """Limits of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tat: dict[tuple[str, str], float] = {}

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key."""
        now, step = self._clock(), rule.period / rule.count
        tat = max(self._tat.get((rule.name, key), now), now)
        if tat > now + step * (rule.burst - cost):
            return Decision(allowed=False, retry_after=tat - now - step * (rule.burst - cost))
        self._tat[rule.name, key] = tat + step * cost
        return Decision(allowed=True)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        if (rule.name, key) in self._tat:
            self._tat[rule.name, key] -= cost * rule.period / rule.count

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key."""
        if rule.kind != "account":
            raise ValueError(rule.name)
        self._tat.pop((rule.name, key), None)


def make_limits(kit: Kit) -> Limits:  # noqa: ARG001
    """Pick the store."""
    return MemoryLimits()
