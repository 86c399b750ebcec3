"""Deletes keys whose time is over."""

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import delete, select

from corekit.context import Caller
from corekit.guard.idempotency.store import PURPOSE, TABLE, IdempotencySettings
from corekit.jobs import schedule

_BATCH = 1_000


class IdempotencyUpkeep:
    """Deletes finished keys `keep_days` after their reply was stored; an unfinished one is never deleted."""

    name: ClassVar[str] = "corekit"

    def __init__(self, settings: IdempotencySettings) -> None:
        self._keep = timedelta(days=settings.keep_days)

    @schedule("29 3 * * *", tag="corekit.prune_idempotency", purpose=PURPOSE, network=True, timeout=3600)
    async def prune_idempotency(self, caller: Caller) -> None:
        """Delete them in batches, each a short transaction: SQLite has one writer, and others wait for it."""
        before = caller.kit.clock.now() - self._keep
        over = (TABLE.c.state == "done", TABLE.c.finished_at < before)
        old = select(TABLE.c.id).where(*over).order_by(TABLE.c.finished_at).limit(_BATCH)
        gone = _BATCH
        while gone == _BATCH:
            async with caller.begin() as ctx:
                ended = await ctx.session.execute(delete(TABLE).where(TABLE.c.id.in_(old)).returning(TABLE.c.id))
                gone = len(ended.all())
