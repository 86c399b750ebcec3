"""What the plugin does about fraud beside requests: it forgets, and says at the start what it cannot know."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, tuple_

from corekit.context import Caller, Kit
from corekit.contracts.auth import Auth
from corekit.data import Base
from corekit.data.base import table_of
from corekit.jobs import schedule
from corekit.watch import get_logger
from corekit_payments.fraud.rows import FraudCounterRow, FraudDecisionRow, FraudListRow
from corekit_payments.fraud.settings import FraudSettings
from corekit_payments.models import PURPOSE
from corekit_payments.settings import PaymentsSettings

_COUNTED = timedelta(days=2)  # after which no window of a counter is still open
_BATCH = 1_000


class FraudJobs:
    """The jobs of the fraud rules, as a part of the plugin."""

    settings: PaymentsSettings

    @schedule("23 4 * * *", tag="payments.prune_fraud_counters", purpose=PURPOSE, network=True, timeout=3600)
    async def prune_fraud_counters(self, caller: Caller) -> None:
        """Drop counters of the past, decisions that are old, and what is no longer on the list.

        In batches, each a short transaction: SQLite has one writer, and payments wait for it.
        """
        now = caller.kit.clock.now()
        old = now - timedelta(days=self.settings.fraud.keep_days)
        counter = table_of(FraudCounterRow)
        gone: list[tuple[type[Base], Sequence[Any], ColumnElement[bool]]] = [
            (FraudCounterRow, (counter.c.scope, counter.c.window_start), counter.c.window_start < now - _COUNTED),
            (FraudDecisionRow, (FraudDecisionRow.id,), FraudDecisionRow.created_at < old),
            (FraudListRow, (FraudListRow.id,), FraudListRow.expires_at <= now),
        ]
        for row, key, where in gone:
            some = select(*key).where(where).limit(_BATCH)
            statement = delete(row).where(tuple_(*key).in_(some)).returning(key[0])
            count = _BATCH
            while count == _BATCH:
                async with caller.begin() as ctx:
                    dropped = await ctx.session.execute(statement, execution_options={"synchronize_session": False})
                    count = len(dropped.all())


def tell_of_ages(kit: Kit, settings: FraudSettings) -> None:
    """Say where the cap of new accounts cannot be kept: nobody here knows how old an account is."""
    if kit.find(Auth) is None and settings.mode("new_account") != "off":
        get_logger("corekit.payments").info("payments_account_ages_unknown", reason="no plugin provides Auth")
