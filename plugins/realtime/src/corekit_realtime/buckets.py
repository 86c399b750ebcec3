"""A token bucket for one connection: two numbers, no store."""


class Bucket:
    """`rate` per second, of which `burst` may come at once."""

    __slots__ = ("_burst", "_rate", "_refused_since", "_seen", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._seen = now
        self._refused_since: float | None = None

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens >= 1:
            self._tokens -= 1
            if self._tokens >= self._burst / 2:
                self._refused_since = None
            return True
        if self._refused_since is None:
            self._refused_since = now
        return False

    def refused_for(self, now: float) -> float:
        """Tell for how many seconds more has been asked for than there was, without a pause to recover."""
        return 0.0 if self._refused_since is None else now - self._refused_since
