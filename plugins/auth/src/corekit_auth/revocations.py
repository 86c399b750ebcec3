"""Which sessions have ended while their access tokens are still good: a set in every process, and its epoch."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from corekit.context import Context, Kit
from corekit.watch.logs import get_logger
from corekit_auth.models import RevocationRow
from corekit_auth.purposes import AUTHENTICATE
from corekit_auth.settings import AuthSettings

# Rows are re-read for this long by their time: commits do not come in the order of their times.
_OVERLAP = timedelta(seconds=30)
_MARGIN = timedelta(seconds=60)


class Revocations:
    """`epoch` rises when the set grows, so that who remembers it need not look again."""

    def __init__(self, kit: Kit, settings: AuthSettings) -> None:
        self.epoch = 0
        self._kit = kit
        self._settings = settings
        self._longest = timedelta(seconds=settings.access_ttl) + _MARGIN
        self._ended: dict[UUID, datetime] = {}
        self._read_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._followers: list[Callable[[], Awaitable[object]]] = []

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._ended

    @property
    def stale(self) -> bool:
        """Whether the set may lack what others have ended: the database was not read for too long."""
        return time.monotonic() - self._read_at > self._settings.revocation_stale

    async def start(self) -> None:
        """Read everything that matters, then keep up."""
        await self.read(self._longest)
        self._task = asyncio.create_task(self._keep_up(), name="auth-revocations")

    def follow(self, also: Callable[[], Awaitable[object]]) -> None:
        """Call this too after each reading: for what else every process keeps up with."""
        self._followers.append(also)

    async def stop(self) -> None:
        """End the reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def record(self, ctx: Context, session_ids: Iterable[UUID]) -> None:
        """Note ended sessions: for other processes in this transaction, for this one at its commit."""
        ended, now = list(session_ids), ctx.now()
        ctx.session.add_all(RevocationRow(session_id=session_id, created_at=now) for session_id in ended)

        async def at_commit() -> None:
            self._add(dict.fromkeys(ended, now))

        ctx.on_commit(at_commit)

    async def read(self, back: timedelta = _OVERLAP) -> None:
        """Read what was ended lately, here or elsewhere."""
        now = self._kit.clock.now()
        recent = select(RevocationRow).where(RevocationRow.created_at > now - back)
        async with self._kit.caller().system(AUTHENTICATE).begin(readonly=True) as ctx:
            rows = (await ctx.session.scalars(recent)).all()
        self._add({row.session_id: row.created_at for row in rows})
        self._ended = {key: ended for key, ended in self._ended.items() if ended > now - self._longest}
        self._read_at = time.monotonic()

    def _add(self, ended: dict[UUID, datetime]) -> None:
        if not ended.keys() <= self._ended.keys():
            self._ended |= ended
            self.epoch += 1

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self._settings.revocation_poll)
            try:
                # After a gap, everything since the last success is read again.
                gap = timedelta(seconds=time.monotonic() - self._read_at)
                await self.read(_OVERLAP + gap)
                for also in self._followers:
                    await also()
            except Exception as error:  # noqa: BLE001  # the poll goes on: meanwhile rows are read one by one
                get_logger("corekit.auth").warning("revocations_not_read", error=type(error).__name__)
