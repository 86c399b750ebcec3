"""`/payments/v1`: payments, what people at a desk do, what providers tell, and the page to pay on."""

from collections.abc import Sequence
from typing import Any

from corekit_payments.routes.checkout import CheckoutLinkRoutes, CheckoutRoutes
from corekit_payments.routes.desk import DeskRoutes
from corekit_payments.routes.fraud import FraudRoutes
from corekit_payments.routes.payments import MethodRoutes, PaymentRoutes
from corekit_payments.routes.reconciliation import ReconciliationRoutes
from corekit_payments.routes.sandbox import SandboxRoutes
from corekit_payments.routes.upi import UpiRoutes
from corekit_payments.routes.webhooks import webhooks
from corekit_payments.settings import PaymentsSettings


def routes(settings: PaymentsSettings) -> Sequence[Any]:
    """Make the routes."""
    desk = [DeskRoutes, FraudRoutes, ReconciliationRoutes]
    pages = [CheckoutLinkRoutes, CheckoutRoutes, SandboxRoutes]
    everybody = [PaymentRoutes, MethodRoutes, UpiRoutes]
    return [*everybody, *desk, *pages, webhooks(settings.webhook.max_body)]
