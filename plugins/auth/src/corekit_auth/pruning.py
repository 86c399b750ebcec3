"""Deleting what has run out, every hour."""

import asyncio
import contextlib
from datetime import timedelta

from sqlalchemy import delete

from corekit.context import Kit
from corekit.data.base import to_micros
from corekit.watch.logs import get_logger
from corekit_auth.failures import STALE
from corekit_auth.models import FailureRow, RevocationRow
from corekit_auth.purposes import PRUNE
from corekit_auth.settings import AuthSettings

_EVERY = 3600
_MARGIN = timedelta(hours=1)


class Pruning:
    """Keeps the tables of revocations and failures as small as what they still say."""

    def __init__(self, kit: Kit, settings: AuthSettings) -> None:
        self._kit = kit
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first run comes after an hour."""
        self._task = asyncio.create_task(self._keep_on(), name="auth-pruning")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """Delete revocations whose tokens have ended, and runs of failures that count for nothing any more."""
        now = self._kit.clock.now()
        over = now - timedelta(seconds=self._settings.access_ttl) - _MARGIN
        stale = to_micros(now - timedelta(seconds=STALE))
        async with self._kit.caller().system(PRUNE).begin() as ctx:
            await ctx.session.execute(delete(RevocationRow).where(RevocationRow.created_at < over))
            await ctx.session.execute(delete(FailureRow).where(FailureRow.blocked_until < stale))

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.run()
            except Exception as error:  # noqa: BLE001  # the next hour comes
                get_logger("corekit.auth").warning("pruning_failed", error=type(error).__name__)
