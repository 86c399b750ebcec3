"""Money as Stripe writes it: whole numbers whose unit is not always ISO 4217's (docs.stripe.com/currencies)."""

from collections.abc import Mapping

from corekit.values import Money
from corekit.values.money import exponent

# How many decimals Stripe's unit has where it is not ISO 4217's: króna are sent in hundredths, ariary in whole ones.
_DECIMALS: Mapping[str, int] = {"ISK": 2, "MGA": 0}
_LAST_DIGIT_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})  # thousandths, of which the networks want tens

# What cards can be charged in. UGX is left out: Stripe's own text names it with and without decimals.
CURRENCIES = frozenset({
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD", "BIF", "BMD", "BND",
    "BOB", "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CVE", "CZK", "DJF",
    "DKK", "DOP", "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD",
    "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KRW", "KWD",
    "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MUR", "MVR",
    "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SEK", "SGD", "SHP", "SOS", "SRD", "SZL",
    "THB", "TJS", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VND", "VUV", "WST", "XAF",
    "XCD", "XOF", "XPF", "YER", "ZAR", "ZMW",
})  # fmt: skip


def to_stripe(money: Money) -> int:
    """Write an amount in Stripe's unit (ValueError where it has none for it)."""
    units = _shifted(money.minor, _decimals(money.currency) - exponent(money.currency))
    if money.currency in _LAST_DIGIT_ZERO and units % 10:
        raise ValueError("the last digit of this currency is zero at Stripe")
    return units


def of_stripe(units: int, currency: str) -> Money:
    """Read an amount in Stripe's unit, its currency in small letters (ValueError where we have none for it)."""
    name = currency.upper()
    return Money(_shifted(units, exponent(name) - _decimals(name)), name)


def _decimals(currency: str) -> int:
    return _DECIMALS.get(currency, exponent(currency))


def _shifted(number: int, places: int) -> int:
    """Multiply by a power of ten, exactly."""
    if places >= 0:
        return int(number * 10**places)
    whole, rest = divmod(number, 10**-places)
    if rest:
        raise ValueError("a fraction of the smallest unit")
    return int(whole)
