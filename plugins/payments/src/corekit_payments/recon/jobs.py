"""The streams over all enabled instances: by the calendar, and for whoever asks for them now."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from corekit.context import Caller, Context
from corekit.contracts.payments import NotAttempted, OutcomeUnknown, Provider
from corekit.jobs import schedule
from corekit.watch import get_logger
from corekit_payments.models import PURPOSE
from corekit_payments.providers import Providers
from corekit_payments.recon.alerting import warn_of_declines, warn_of_open
from corekit_payments.recon.asking import Progress, Task
from corekit_payments.recon.expiring import expire_holds
from corekit_payments.recon.listing import Listing
from corekit_payments.recon.pacing import Bucket
from corekit_payments.recon.rows import Stream
from corekit_payments.recon.running import LeaseLost, Run, Runs
from corekit_payments.recon.settlement import WINDOW, Settlement
from corekit_payments.settings import PaymentsSettings

STREAMS: Mapping[Stream, type[Listing] | type[Settlement]] = {"listing": Listing, "settlement": Settlement}


class Reconciliation:
    """Runs a stream over an instance; `caller` is the system's, of no tenant."""

    def __init__(self, caller: Caller, providers: Providers, settings: PaymentsSettings) -> None:
        self.providers = providers
        self._caller, self._settings, self._runs = caller, settings, Runs(caller)
        self._windows = {"listing": timedelta(seconds=settings.recon.window), "settlement": WINDOW}

    async def run(
        self, stream: Stream, provider: Provider, *, now: bool = False, progress: Progress = lambda _: None
    ) -> Run | None:
        """Do one run, or go on where a runner has died; `now` waits for no rest after a failure.

        None where it could not be begun, or did not come to its end: the row of the run says why.
        """
        run = await self._runs.claim(stream, provider.name, self._windows[stream], now=now)
        if run is None:
            return None
        bucket = Bucket(provider.capabilities.rate)
        try:
            await STREAMS[stream](
                Task(self._caller, self._runs, self._settings, run, provider, bucket, progress)
            ).compare()
            await self._runs.end(run)
        except (NotAttempted, OutcomeUnknown) as why:
            await self._runs.fail(run, why)
            return None
        except LeaseLost:
            get_logger("corekit.payments").warning("payments_reconcile_lost", reason=provider.name)
            return None
        except asyncio.CancelledError:
            with suppress(LeaseLost):
                await self._runs.release(run)
            raise
        except Exception as error:  # noqa: BLE001  # an adapter's bug must not keep other instances waiting
            get_logger("corekit.payments").exception("payments_reconcile_broken", reason=provider.name)
            await self._runs.fail(run, OutcomeUnknown(f"{type(error).__name__}: a bug, or a fault here"))
            return None
        return run

    async def expire_holds(self) -> int:
        """End what is held past its time; return how many holds those were."""
        return await expire_holds(self._caller, self.providers, self._settings.provider_timeout)

    async def all(self, stream: Stream) -> None:
        """Run a stream over each instance; none waits for another."""
        runs = [self.run(stream, one) for one in self.providers.every()]
        faults = [one for one in await asyncio.gather(*runs, return_exceptions=True) if isinstance(one, BaseException)]
        if faults:
            raise faults[0]


class ReconciliationJobs:
    """The jobs of reconciliation, as a part of the plugin."""

    reconciliation: Reconciliation | None = None

    @schedule("*/15 * * * *", tag="payments.reconcile", network=True, purpose=PURPOSE, timeout=840)
    async def reconcile(self, caller: Caller) -> None:  # noqa: ARG002  # whoever works has the same rights
        """Hold what providers list against our books."""
        if self.reconciliation is not None:
            await self.reconciliation.all("listing")

    @schedule("*/10 * * * *", tag="payments.expire_holds", network=True, purpose=PURPOSE, timeout=540)
    async def expire_holds(self, caller: Caller) -> None:  # noqa: ARG002
        """End what is held past its time."""
        if self.reconciliation is not None:
            await self.reconciliation.expire_holds()

    @schedule("37 * * * *", tag="payments.recon_alerts", purpose=PURPOSE)
    async def recon_alerts(self, ctx: Context) -> None:
        """Say in the log what is still open, and which instances refuse more than usual."""
        instances = [] if self.reconciliation is None else [one.name for one in self.reconciliation.providers.every()]
        await warn_of_open(ctx, instances)
        await warn_of_declines(ctx)

    @schedule("41 * * * *", tag="payments.settle", network=True, purpose=PURPOSE, timeout=3600)
    async def settle(self, caller: Caller) -> None:  # noqa: ARG002
        """Hold what providers have paid out against what they owe, once a day; in between, go on where that failed."""
        if self.reconciliation is not None:
            await self.reconciliation.all("settlement")
