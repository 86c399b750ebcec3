"""What the plugin does for reconciliation by the calendar, and for whoever asks for it now."""

import asyncio
from collections.abc import Sequence

from corekit.context import Caller
from corekit.contracts.payments import Provider
from corekit.jobs import schedule
from corekit_payments.models import PURPOSE
from corekit_payments.providers import Providers
from corekit_payments.recon.listing import Listing


class Reconciliation:
    """The streams over all enabled instances."""

    def __init__(self, providers: Providers, listing: Listing) -> None:
        self.providers = providers
        self.listing = listing


class ReconciliationJobs:
    """The jobs of reconciliation, as a part of the plugin."""

    reconciliation: Reconciliation | None = None

    @schedule("*/15 * * * *", tag="payments.reconcile", network=True, purpose=PURPOSE, timeout=840)
    async def reconcile(self, caller: Caller) -> None:  # noqa: ARG002
        """Hold what providers list against our books; one instance does not wait for another."""
        if self.reconciliation is not None:
            await asyncio.gather(*(self.reconciliation.listing.run(one) for one in self._every()))

    def _every(self) -> Sequence[Provider]:
        return self.reconciliation.providers.every() if self.reconciliation is not None else ()
