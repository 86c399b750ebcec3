"""What did not verify: counted and told to the log each time, audited at most once a minute, stored nowhere."""

from collections import Counter
from datetime import datetime, timedelta

from corekit.context import Caller
from corekit.contracts.audit import Audit
from corekit.watch import get_logger

_AUDITED = timedelta(minutes=1)  # anybody may send, so that an entry for each would be anybody's way to fill the table


class Rejections:
    """`payments_webhook_rejected_total` of this process, by instance."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self._audited: dict[str, tuple[datetime, int]] = {}  # when, and how many there were

    async def count(self, caller: Caller, instance: str, why: ValueError) -> None:
        """Count one; `caller` may write payments."""
        self.total[instance] += 1
        reason = f"{instance}: {str(why)[:100]}"
        get_logger("corekit.payments").warning("payments_webhook_rejected", reason=reason, count=self.total[instance])
        now = caller.kit.clock.now()
        last, before = self._audited.get(instance, (None, 0))
        if last is not None and now - last < _AUDITED:
            return
        self._audited[instance] = now, self.total[instance]
        details = {"provider": instance, "count": self.total[instance] - before}
        async with caller.begin() as ctx:
            await ctx.get(Audit).record(ctx, "payments.webhook.rejected", details=details)
