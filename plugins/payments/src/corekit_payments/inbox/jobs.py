"""What the plugin does with notices after they were taken."""

from datetime import timedelta

from sqlalchemy import exists, select, update

from corekit.context import Caller, Context
from corekit.jobs import job, schedule
from corekit_payments.inbox.processing import Processing
from corekit_payments.inbox.rows import WebhookInboxRow
from corekit_payments.inbox.taking import NoticeKey
from corekit_payments.models import PURPOSE

_KEPT = timedelta(days=30)  # that a body may be looked at
_SLOW = timedelta(minutes=5)  # after which a notice should have been worked on


async def demand_flowing(caller: Caller) -> None:
    """Raise where a notice has waited for too long: nobody works, or its provider does not answer (RuntimeError)."""
    async with caller.begin(readonly=True) as ctx:
        late = (WebhookInboxRow.state == "received") & (WebhookInboxRow.received_at < ctx.now() - _SLOW)
        if await ctx.session.scalar(select(exists().where(late))):
            raise RuntimeError("a notice has waited for more than five minutes")


class WebhookJobs:
    """The jobs of the inbox, as a part of the plugin."""

    processing: Processing | None = None

    @job("payments.process_webhook", network=True, purpose=PURPOSE, attempts=64, timeout=120)
    async def process_webhook(self, caller: Caller, notice: NoticeKey) -> None:
        """Fetch what a notice is about, and apply what it shows."""
        if self.processing is not None:
            await self.processing.process(caller, notice)

    @schedule("53 3 * * *", tag="payments.drop_webhook_bodies", purpose=PURPOSE)
    async def drop_webhook_bodies(self, ctx: Context) -> None:
        """Drop the bodies of notices that are old; that they came stays known."""
        old = WebhookInboxRow.raw.is_not(None) & (WebhookInboxRow.received_at < ctx.now() - _KEPT)
        gone = update(WebhookInboxRow).where(old).values(raw=None)
        await ctx.session.execute(gone, execution_options={"synchronize_session": False})
