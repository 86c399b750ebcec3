"""Limits in memory."""

from corekit.data.base import to_micros
from corekit.guard.limits.rules import Decision, Limits, Rule, demand_account, passed, refused
from corekit.values import Clock


class MemoryLimits(Limits):
    """Limits of one process: a dict of at most `keys` entries, the ones nearest to their end dropped first."""

    def __init__(self, clock: Clock, keys: int = 100_000) -> None:
        self._clock = clock
        self._keys = keys
        self._tat: dict[tuple[str, str], int] = {}

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key."""
        step, ahead = rule.micros(cost)
        now = to_micros(self._clock.now())
        start = max(self._tat.get((rule.name, key), now), now)
        if start > now + ahead:
            return refused(start, now + ahead)
        self._tat[rule.name, key] = start + step
        if len(self._tat) > self._keys:
            self._shrink(now)
        return passed(rule, start + step, now)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        if (rule.name, key) in self._tat:
            self._tat[rule.name, key] -= rule.micros(cost)[0]

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key."""
        demand_account(rule)
        self._tat.pop((rule.name, key), None)

    def _shrink(self, now: int) -> None:
        """Drop what says nothing any more; if that is not a tenth, what will soonest say nothing."""
        self._tat = {key: tat for key, tat in self._tat.items() if tat > now}
        if len(self._tat) > self._keys * 9 // 10:
            latest = sorted(self._tat.items(), key=lambda item: item[1])
            self._tat = dict(latest[len(latest) - self._keys * 9 // 10 :])
