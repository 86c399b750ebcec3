"""Payments' problems; each has a page under `docs/problems/`."""

from typing import Any

from corekit.errors import Conflict, Invalid, Problem


class PaymentState(Conflict):
    """The payment is in a state in which this cannot be done."""

    slug, code, title = "payment-state", 1201, "The payment's state does not allow it"


class OperationOpen(Conflict):
    """An operation of the payment is on its way to its provider: wait for what becomes of it."""

    slug, code, title = "operation-open", 1202, "Something is being done with this payment"


class AttemptUnresolved(Conflict):
    """Nobody knows yet what became of the last attempt: another one could take the money twice."""

    slug, code, title = "attempt-unresolved", 1203, "The last attempt is not resolved"


class AmountOutOfRange(Invalid):
    """The amount is not one that can be paid."""

    slug, code, title = "amount-out-of-range", 1204, "The amount is out of range"


class AmountMismatch(Invalid):
    """The amount is not what this costs, or nobody says what it costs."""

    slug, code, title = "amount-mismatch", 1205, "The amount is not the price"


class CurrencyNotSupported(Invalid):
    """The provider does not take this currency."""

    slug, code, title = "currency-not-supported", 1206, "The currency is not supported"


class MethodNotAvailable(Invalid):
    """No provider offers this method, or more than one does and none was named."""

    slug, code, title = "method-not-available", 1207, "The method is not available"


class PayeeNotSupported(Invalid):
    """The provider does not collect money for this payee."""

    slug, code, title = "payee-not-supported", 1208, "The payee is not supported"


class CardNumberRefused(Invalid):
    """A text looks like the number of a card; it was not stored."""

    slug, code, title = "card-number-refused", 1209, "Card numbers do not belong here"


class AmountExceedsRemaining(Conflict):
    """More than what is left to capture or to give back."""

    slug, code, title = "amount-exceeds-remaining", 1210, "The amount exceeds what remains"


class DisputeOpen(Conflict):
    """The payer's bank is deciding about this money."""

    slug, code, title = "dispute-open", 1211, "A dispute is open"


class WebhookRefused(Problem):
    """The body is signed by no secret of the instance, or not lately, or cannot be read; it was not stored."""

    slug, status, code, title = "webhook-refused", 400, 1214, "The notice was not accepted"


class PaymentDeclined(Problem):
    """It was refused: `reason` is the class of the refusal, `payment_status` where that leaves `payment`.

    `blocked` is a refusal of our own rules, and nothing was sent; all others are the provider's.
    """

    slug, status, code, title = "payment-declined", 402, 1212, "The payment was declined"


class ProviderUnavailable(Problem):
    """The provider was not reached, so nothing has moved; it is tried again, also without the client."""

    slug, status, code, temporary = "provider-unavailable", 503, 1213, True
    title = "The provider is not available"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0, **extensions: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extensions)
