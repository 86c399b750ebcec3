"""The sweeper: finds what is due and has it driven, so that nothing depends on the request that began it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from corekit.context import Kit
from corekit.watch import get_logger
from corekit_payments.driving import Driver
from corekit_payments.holding import Holding
from corekit_payments.returning import SurplusRefunds

_AT_ONCE = 32  # operations that one process drives
_POLL = 1.0  # seconds
_REST = 0.1  # seconds between two sweeps: any plugin's commit wakes, and few are of payments


class Sweeper:
    """One loop per process: woken by commits, otherwise by a poll."""

    def __init__(self, kit: Kit, holding: Holding, driver: Driver, returns: SurplusRefunds | None = None) -> None:
        self._kit = kit
        self._holding = holding
        self._driver = driver
        self._returns = returns
        self._woken = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Sweep as long as this is open."""
        forget = self._kit.database.on_wake(self._woken.set)
        task = asyncio.create_task(self._forever(), name="payments-sweeper")
        try:
            yield
        finally:
            forget()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sweep(self) -> int:
        """Begin to drive what is due, as much as there is room for; return how many that are."""
        if self._returns is not None:
            await self._returns.sweep()
        room = _AT_ONCE - self._driver.running
        if room <= 0:
            return 0
        found = await self._holding.due(room)
        for operation, tenant in found:
            self._driver.start(operation, tenant, "sweeper").add_done_callback(lambda _: self._woken.set())
        return len(found)

    async def _forever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001  # a lost database must not end it
                get_logger("corekit.payments").error("payments_sweep_failed", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_REST)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _POLL)
