"""How often a provider is asked: a token bucket for each instance, kept by the one who runs it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


class Bucket:
    """Holds as many tokens as one second brings; whoever takes one that is not there yet waits for it."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._tokens, self._at = max(1.0, rate), clock()

    async def take(self) -> None:
        """Take one."""
        now = self._clock()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await self._sleep(-self._tokens / self._rate)
