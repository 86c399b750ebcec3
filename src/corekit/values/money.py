"""Money: whole minor units of one currency, exact, at most what a JSON client can hold."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from corekit.errors import Invalid

LIMIT = 2**53  # JavaScript's numbers are exact below it
_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>0|[1-9][0-9]{0,15})(?:\.(?P<part>[0-9]{1,4}))?")


class CurrencyMismatch(ValueError):
    """Amounts of two currencies were added, subtracted or compared: a bug in the caller."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount, `Money(49900, "INR")`; on the wire `{"amount": 49900, "currency": "INR"}`.

    `minor` is in minor units (ISO 4217: paise, cents; whole yen) and below 2**53 either way. A currency without minor
    units, as gold, is refused.

    Raises:
        TypeError: `minor` is no whole number.
        ValueError: it is too large, or the currency is not known.

    """

    minor: int = msgspec.field(name="amount")
    currency: str

    def __post_init__(self) -> None:
        """Refuse what no amount is."""
        if type(self.minor) is not int:
            raise TypeError("an amount is a whole number of minor units")
        if not -LIMIT < self.minor < LIMIT:
            raise ValueError("an amount is below 2**53 minor units")
        exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same(other)

    def allocate(self, weights: Sequence[int]) -> list["Money"]:
        """Share it out by weights, largest remainder first and earlier before later: the parts sum to it exactly.

        Raises:
            ValueError: a weight is negative or no whole number, or all are zero.

        """
        total = sum(weights)
        if any(type(weight) is not int or weight < 0 for weight in weights) or total == 0:
            raise ValueError("weights are whole numbers, none negative and not all zero")
        sign, size = (-1, -self.minor) if self.minor < 0 else (1, self.minor)
        parts = [size * weight // total for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda at: -(size * weights[at] % total))
        for at in by_remainder[: size - sum(parts)]:
            parts[at] += 1
        return [Money(sign * part, self.currency) for part in parts]

    def format(self) -> str:
        """Write it as decimal text with all of the currency's digits: `499.00`."""
        digits = exponent(self.currency)
        text = str(abs(self.minor)).rjust(digits + 1, "0")
        sign = "-" if self.minor < 0 else ""
        return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)

    @classmethod
    def parse(cls, text: str, currency: str, *, signed: bool = False, pointer: str = "") -> "Money":
        """Read decimal text exactly: `499`, `499.5` and `499.50` are the same rupees, `499.505` are none.

        Raises:
            Invalid: it is no decimal number in ASCII digits, has more decimals than the currency, a sign where none is
                allowed, or is too large; the message names `pointer` and never the value.

        """
        try:
            digits, found = exponent(currency), _DECIMAL.fullmatch(text)
            if found is None or len(part := found["part"] or "") > digits or (found["sign"] and not signed):
                raise ValueError(text)
            return cls(int(found["sign"] + found["whole"] + part.ljust(digits, "0")), currency)
        except ValueError:
            raise Invalid("not an amount of this currency", pointer=pointer) from None

    def _same(self, other: Any) -> int:
        if not isinstance(other, Money):
            raise TypeError("money goes with money")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.minor


def exponent(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217): INR 2, JPY 0, BHD 3.

    Raises:
        ValueError: no such currency, or it has no minor unit.

    """
    digits = _exponents().get(currency) if isinstance(currency, str) else None
    if digits is None:
        raise ValueError("not a currency with minor units (ISO 4217)")
    return digits


@cache
def _exponents() -> Mapping[str, int]:
    from iso4217 import Currency  # noqa: PLC0415  # its table is XML: who has no money need not wait for it

    return {one.code: one.exponent for one in Currency if one.exponent is not None}
