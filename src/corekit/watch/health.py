"""Health: what readiness asks, with a time limit and a short memory so that probes cannot become load."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import msgspec

from corekit.watch.logs import get_logger

State = Literal["ok", "degraded", "down"]
TIMEOUT = 1.0  # seconds one check may take
FRESH = 1.0  # seconds its answer is kept
AGAIN = 0.05  # seconds between two looks at what is still coming up


class Check(msgspec.Struct, frozen=True):
    """One readiness check; `probe` raises where something is wrong. A lost optional part is only `degraded`."""

    name: str
    probe: Callable[[], Awaitable[None]]
    required: bool = True


class Health:
    """All checks of a kit."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.draining = False
        self._checks = list(checks)
        self._states: dict[str, State] = {}
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    def reset(self) -> None:
        """Forget everything: a kit that was stopped starts again, perhaps in another event loop."""
        self.draining, self._asked_at, self._lock = False, float("-inf"), asyncio.Lock()

    async def states(self) -> dict[str, State]:
        """Return each check's state, at most one second old."""
        async with self._lock:
            if time.monotonic() - self._asked_at > FRESH:
                answers = await asyncio.gather(*(self._ask(check) for check in self._checks))
                self._states = dict(zip((check.name for check in self._checks), answers, strict=True))
                self._asked_at = time.monotonic()
            return self._states

    async def ready(self) -> tuple[bool, dict[str, State]]:
        """Tell whether traffic may come, and why."""
        states = await self.states()
        return not self.draining and "down" not in states.values(), states

    async def wait(self, seconds: float) -> bool:
        """Wait at a start, so long at most, for all that is required; tell whether traffic may come."""
        required = [check for check in self._checks if check.required]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if "down" not in await asyncio.gather(*(self._ask(check, quiet=True) for check in required)):
                break
            await asyncio.sleep(AGAIN)
        return (await self.ready())[0]

    @staticmethod
    async def _ask(check: Check, *, quiet: bool = False) -> State:
        try:
            await asyncio.wait_for(check.probe(), TIMEOUT)
        except Exception as error:  # noqa: BLE001  # whatever a probe raises means the same
            if not quiet:
                get_logger("corekit.watch").warning("check_failed", check=check.name, error=type(error).__name__)
            return "down" if check.required else "degraded"
        return "ok"
