"""What this installation takes by UPI now, and what a client hears about an address or an amount before it pays."""

import msgspec

from corekit.values import Clock, Money
from corekit_payments.errors import AmountOutOfRange, CurrencyNotSupported
from corekit_payments.upi import vpa
from corekit_payments.upi.limits import LimitRow, Limits
from corekit_payments.upi.settings import UpiSettings

CURRENCY = "INR"


class UpiChecked(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what was asked about can be right, and what speaks against it or is at least odd.

    `vpa-syntax`, `vpa-too-long`, `amount-currency`, `amount-not-positive` and `amount-above-limit` speak against it;
    `vpa-handle-unknown` is only odd.
    """

    ok: bool
    warnings: list[str]


class UpiRules:
    """The settings, with the limits in force by the clock."""

    def __init__(self, settings: UpiSettings, clock: Clock) -> None:
        self._typed_max = settings.typed_vpa_max
        self._limits = Limits(settings.limits)
        self._category = self._limits.category(settings.mcc)
        self._clock = clock

    @property
    def limit(self) -> LimitRow | None:
        """Return what one payment to this merchant may be now; None where no row holds."""
        return self._limits.at(self._clock.now(), self._category)

    def maximum(self, method: str, currency: str, most: int | None) -> int | None:
        """Return the largest payment by a method's type, in minor units: the provider's `most`, or less by UPI."""
        if not is_upi(method) or currency != CURRENCY or self.limit is None:
            return most
        return self.limit.per_payment if most is None else min(most, self.limit.per_payment)

    def demand(self, method: str, amount: Money) -> None:
        """Refuse what UPI does not move.

        Raises:
            CurrencyNotSupported, AmountOutOfRange: no rupees, or more than the limit in force.

        """
        if not is_upi(method):
            return
        if amount.currency != CURRENCY:
            raise CurrencyNotSupported("UPI moves rupees", pointer="/amount/currency")
        most = self.maximum(method, amount.currency, None)
        if most is not None and amount.minor > most:
            raise AmountOutOfRange("above the limit of UPI", pointer="/amount/amount")

    def check(self, address: str | None, amount: Money | None) -> UpiChecked:
        """Say what can be said of what a person typed, without asking anybody: that an address exists it cannot."""
        against = [*self._against_amount(amount)] if amount is not None else []
        odd = []
        if address is not None:
            try:
                read = vpa.parse(address)
            except vpa.VpaError:
                against.append("vpa-syntax")
            else:
                against += ["vpa-too-long"] if len(address) > self._typed_max else []
                odd += [] if vpa.known_handle(read) else ["vpa-handle-unknown"]
        return UpiChecked(ok=not against, warnings=sorted(against + odd))

    def _against_amount(self, amount: Money) -> list[str]:
        if amount.currency != CURRENCY:
            return ["amount-currency"]
        if amount.minor <= 0:
            return ["amount-not-positive"]
        return ["amount-above-limit"] if self.limit is not None and amount.minor > self.limit.per_payment else []


def is_upi(method: str) -> bool:
    """Tell whether a method's type is one of UPI's."""
    return method.startswith("upi_")
