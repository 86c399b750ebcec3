"""What the plugin does for the ledger by the calendar."""

from corekit.context import Context
from corekit.jobs import schedule
from corekit.watch import get_logger
from corekit_payments.ledger.invariants import broken
from corekit_payments.ledger.rollups import recheck, roll_up
from corekit_payments.models import PURPOSE


class LedgerJobs:
    """The jobs of the ledger, as a part of the plugin."""

    @schedule("7 * * * *", tag="payments.check_ledger", purpose=PURPOSE)
    async def check_ledger(self, ctx: Context) -> None:
        """Hold payments, operations and the ledger against each other; what does not agree is an error in the log."""
        for name, rows in (await broken(ctx, rollups=False)).items():  # those have a job of their own
            get_logger("corekit.payments").error("payments_ledger_broken", reason=name, count=len(rows))

    @schedule("22 * * * *", tag="payments.roll_up_ledger", purpose=PURPOSE)
    async def roll_up_ledger(self, ctx: Context) -> None:
        """Sum up what was posted in the hours that have ended."""
        await roll_up(ctx)

    @schedule("33 4 * * *", tag="payments.check_rollups", purpose=PURPOSE, timeout=600)
    async def check_rollups(self, ctx: Context) -> None:
        """Hold these sums against what was posted; those that differ are built again."""
        await recheck(ctx)
