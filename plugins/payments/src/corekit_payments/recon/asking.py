"""What a run has with it, and how it asks its provider: in time, no more often than it may, a page at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from corekit.context import Caller
from corekit.contracts.payments import OutcomeUnknown, Provider
from corekit_payments.recon.pacing import Bucket
from corekit_payments.recon.running import Run, Runs
from corekit_payments.settings import PaymentsSettings

T = TypeVar("T")
Progress = Callable[[Run], None]
PAGE = 100  # rows between two of which a run keeps how far it has come


@dataclass(frozen=True)
class Task:
    """A run over one instance; `caller` is the system's, of no tenant."""

    caller: Caller
    runs: Runs
    settings: PaymentsSettings
    run: Run
    provider: Provider
    bucket: Bucket
    progress: Progress

    @property
    def park(self) -> timedelta:
        """How long what only one side has may still come up at the other."""
        return timedelta(seconds=self.settings.recon.park)

    def now(self) -> datetime:
        """Return the kit's time."""
        return self.caller.kit.clock.now()

    def count(self, what: str) -> None:
        """Count a row by what became of it."""
        self.run.counts[what] += 1

    async def advance(self, cursor: str) -> None:
        """Keep how far the run has come (LeaseLost)."""
        await self.runs.advance(self.run, cursor)
        self.progress(self.run)

    async def ask(self, answer: Awaitable[T]) -> T:
        """Make one call (NotAttempted, OutcomeUnknown)."""
        await self.bucket.take()
        return await self._in_time(answer)

    async def pages(self, listed: AsyncIterator[T]) -> AsyncIterator[list[T]]:
        """Read a list, each page of which is one call (NotAttempted, OutcomeUnknown)."""
        page: list[T] = []
        await self.bucket.take()
        while (one := await self._in_time(anext(listed, None))) is not None:
            page.append(one)
            if len(page) == PAGE:
                yield page
                page = []
                await self.bucket.take()
        if page:
            yield page

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.settings.provider_timeout):
                return await answer
        except TimeoutError as error:
            raise OutcomeUnknown("no answer in time") from error
