"""The core's own schedule."""

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import delete

from corekit.context import Context
from corekit.data.outbox import OnceRow
from corekit.jobs.marks import schedule
from corekit.jobs.runner import PURPOSE

REMEMBERED = timedelta(days=30)  # how long after it an event may be delivered again without being heard twice


class Upkeep:
    """Keeps the core's tables as small as what they still say."""

    name: ClassVar[str] = "corekit"

    @schedule("17 3 * * *", tag="corekit.forget_handled", purpose=PURPOSE)
    async def forget_handled(self, ctx: Context) -> None:
        """Forget which events were handled long ago."""
        await ctx.session.execute(delete(OnceRow).where(OnceRow.created_at < ctx.now() - REMEMBERED))
