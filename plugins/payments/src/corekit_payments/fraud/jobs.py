"""What the plugin does about fraud beside requests: it forgets, and says at the start what it cannot know."""

from datetime import timedelta

from sqlalchemy import delete

from corekit.context import Context, Kit
from corekit.contracts.auth import Auth
from corekit.data import Base
from corekit.jobs import schedule
from corekit.watch import get_logger
from corekit_payments.fraud.rows import FraudCounterRow, FraudDecisionRow, FraudListRow
from corekit_payments.fraud.settings import FraudSettings
from corekit_payments.models import PURPOSE
from corekit_payments.settings import PaymentsSettings

_COUNTED = timedelta(days=2)  # after which no window of a counter is still open


class FraudJobs:
    """The jobs of the fraud rules, as a part of the plugin."""

    settings: PaymentsSettings

    @schedule("23 4 * * *", tag="payments.prune_fraud_counters", purpose=PURPOSE)
    async def prune_fraud_counters(self, ctx: Context) -> None:
        """Drop counters of the past, decisions that are old, and what is no longer on the list."""
        old = ctx.now() - timedelta(days=self.settings.fraud.keep_days)
        gone: dict[type[Base], object] = {
            FraudCounterRow: FraudCounterRow.window_start < ctx.now() - _COUNTED,
            FraudDecisionRow: FraudDecisionRow.created_at < old,
            FraudListRow: FraudListRow.expires_at <= ctx.now(),
        }
        for row, where in gone.items():
            statement = delete(row).where(where)  # type: ignore[arg-type]  # one clause each
            await ctx.session.execute(statement, execution_options={"synchronize_session": False})


def tell_of_ages(kit: Kit, settings: FraudSettings) -> None:
    """Say where the cap of new accounts cannot be kept: nobody here knows how old an account is."""
    if kit.find(Auth) is None and settings.mode("new_account") != "off":
        get_logger("corekit.payments").info("payments_account_ages_unknown", reason="no plugin provides Auth")
