"""The plugin `payments`."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from corekit.context import Context, Kit
from corekit.contracts.access import Permission, declared_permissions
from corekit.contracts.audit import Audit
from corekit.contracts.auth import Auth
from corekit.contracts.flags import Flags
from corekit.contracts.payments import Payments, Provider, ProviderSettings, payment_providers
from corekit.contracts.realtime import Realtime
from corekit.guard import Limits
from corekit.hooks import implements
from corekit.jobs import schedule
from corekit.plugin import Plugin
from corekit.watch import Check
from corekit_payments.checkout.checkout import Checkout
from corekit_payments.desk import Desk
from corekit_payments.disputes import Disputes, warn_of_deadlines
from corekit_payments.driving import Driver
from corekit_payments.fraud.jobs import FraudJobs, tell_of_ages
from corekit_payments.fraud.ruling import FraudRules
from corekit_payments.gating import tell_of_flags
from corekit_payments.going_live import record_live
from corekit_payments.hints import PaymentHints
from corekit_payments.holding import Holding
from corekit_payments.inbox import Inbox, Processing, WebhookJobs
from corekit_payments.inbox.jobs import demand_flowing
from corekit_payments.ledger.jobs import LedgerJobs
from corekit_payments.live import demand_live_on_purpose
from corekit_payments.models import PURPOSE
from corekit_payments.providers import Providers
from corekit_payments.razorpay import bring
from corekit_payments.recon import Reconciliation, ReconciliationJobs
from corekit_payments.recon.alerting import demand_swept
from corekit_payments.requesting import Requests
from corekit_payments.returning import SurplusRefunds
from corekit_payments.rights import PERMISSIONS
from corekit_payments.sandbox import NOWHERE, Sandbox
from corekit_payments.sandbox.starting import demand_allowed, place_of, secrets_of
from corekit_payments.service import PaymentsService
from corekit_payments.settings import PaymentsSettings
from corekit_payments.stripe import stripe_instance
from corekit_payments.sweeping import Sweeper
from corekit_payments.upi.rules import UpiRules


class PaymentsPlugin(WebhookJobs, FraudJobs, ReconciliationJobs, LedgerJobs, PaymentHints, Plugin[PaymentsSettings]):
    """Payments that happen once, or not at all, or are known to be unknown."""

    name = "payments"
    provides = (Payments,)
    requires = (Audit, Limits)
    wants = (Realtime, Auth, Flags)
    purposes = {PURPOSE: "Writes payments, for the person who pays or for an operator, after asking what they may."}

    def __init__(self, settings: PaymentsSettings | None = None) -> None:
        super().__init__(settings)
        self._kit: Kit | None = None

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Ask for the adapters of the enabled instances, provide Payments, and look after what is open."""
        demand_live_on_purpose(kit.env, self.settings)
        self._kit = kit
        tell_of_ages(kit, self.settings.fraud)
        tell_of_flags(kit)
        async with AsyncExitStack() as stack:
            stack.callback(setattr, self, "_kit", None)
            providers = await Providers.start(kit, self.settings.providers)
            stack.push_async_callback(providers.close)
            holding = Holding(kit, self.settings, providers)
            await holding.demand_adapters()
            await record_live(kit, self.settings)
            driver = Driver(holding, self.settings)
            stack.push_async_callback(driver.close)
            rules = UpiRules(self.settings.upi, kit.clock)
            service = PaymentsService(kit, self.settings, providers, driver, rules)
            kit.provide(Payments, service)
            kit.provide(UpiRules, rules)
            kit.provide(FraudRules, FraudRules(self.settings.fraud))
            requests = Requests(service, self.settings.request_timeout)
            kit.provide(Requests, requests)
            kit.provide(Providers, providers)
            kit.provide(Checkout, Checkout(kit, requests, providers, rules, self.settings.upi.payee_name))
            kit.provide(Disputes, disputes := Disputes(holding))
            self.reconciliation = Reconciliation(holding.caller(None), providers, self.settings)
            kit.provide(Reconciliation, self.reconciliation)
            park = timedelta(seconds=self.settings.webhook.park)
            self.processing = Processing(providers, park, disputes.learn)
            kit.provide(Inbox, Inbox(kit, providers, self.process_webhook, live=self.settings.live))
            kit.provide(Desk, Desk(holding, providers, disputes, self.settings.provider_timeout))
            if self.settings.sweep:
                returns = SurplusRefunds(holding) if self.settings.refund_surplus else None
                await stack.enter_async_context(Sweeper(kit, holding, driver, returns).running())
            yield

    def health(self) -> Iterable[Check]:
        """Say that payments are degraded where what providers tell, or what is open, is not worked on."""

        async def flowing() -> None:
            if self._kit is not None:
                await demand_flowing(self._kit.caller().system(PURPOSE))

        async def swept() -> None:
            if self._kit is not None:
                await demand_swept(self._kit.caller().system(PURPOSE))

        yield Check("payments_webhooks", flowing, required=False)
        yield Check("payments_sweeper", swept, required=False)

    @classmethod
    def commands(cls) -> Sequence[Any]:
        """Return `corekit payments …`."""
        from corekit_payments.command_line import (  # noqa: PLC0415  # only the command line needs it
            items_,
            ledger,
            list_,
            reconcile,
            sandbox,
            show,
        )

        return [list_, show, ledger, items_, reconcile, sandbox]

    @schedule("17 * * * *", tag="payments.disputes_due", purpose=PURPOSE)
    async def disputes_due(self, ctx: Context) -> None:
        """Say in the log where the time to answer a dispute runs out."""
        await warn_of_deadlines(ctx)

    def routes(self) -> Sequence[Any]:
        """Return what is under `/payments/v1`."""
        from corekit_payments.routes import routes  # noqa: PLC0415  # without HTTP the plugin needs no Litestar

        return routes(self.settings)

    @implements(declared_permissions)
    async def permissions(self) -> Sequence[Permission]:
        """Name what people at a desk may be let do."""
        return PERMISSIONS

    @implements(payment_providers)
    async def sandbox(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        """Bring the instances of the sandbox (ConfigError in production, unless it is allowed there on purpose)."""
        if settings.kind != "sandbox" or self._kit is None:
            return None
        demand_allowed(settings, self._kit.env)
        place = place_of(settings, self._kit.database.data_dir)
        return [
            Sandbox(
                settings.name, place, self._kit.clock, payee=self.settings.upi.payee, live=self.settings.live,
                secrets=secrets_of(settings), tolerance=timedelta(seconds=self.settings.webhook.tolerance),
                pages=self._pages(settings.name),
            )
        ]  # fmt: skip

    def _pages(self, instance: str) -> str:
        """Say where the sandbox's payers act: they can in dev alone."""
        if self._kit is None or self._kit.env != "dev":
            return NOWHERE
        return f"{self.settings.external_url}/payments/v1/sandbox/{instance}"

    @implements(payment_providers)
    async def stripe(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        """Bring the instances of Stripe (ConfigError where one cannot be what it says)."""
        if settings.kind != "stripe" or self._kit is None:
            return None
        tolerance = timedelta(seconds=self.settings.webhook.tolerance)
        return [stripe_instance(settings, self._kit.clock, tolerance)]

    @implements(payment_providers)
    async def razorpay(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        """Bring the instances of Razorpay (ConfigError where a key is missing)."""
        if settings.kind != "razorpay" or self._kit is None:
            return None
        return [bring(settings, self._kit.clock, timedelta(seconds=self.settings.action_ttl))]
