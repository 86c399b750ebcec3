"""Money: exact in one currency, refused across two, shared out to the last unit, read and written without loss."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corekit.errors import Invalid
from corekit.values import CurrencyMismatch, Money
from corekit.values.money import LIMIT, exponent

CURRENCIES = ("JPY", "INR", "BHD", "CLF")
minors = st.integers(-LIMIT + 1, LIMIT - 1)
moneys = st.builds(Money, minors, st.sampled_from(CURRENCIES))


def test_exponents_are_those_of_iso_4217() -> None:
    assert [exponent(currency) for currency in CURRENCIES] == [0, 2, 3, 4]


@pytest.mark.parametrize("currency", ["XAU", "XXX", "INr", "inr", "", "INR\n", "RUPEE", None, 356])
def test_what_is_no_currency_is_refused(currency: Any) -> None:
    with pytest.raises(ValueError, match="not a currency"):
        Money(1, currency)


@pytest.mark.parametrize("minor", [1.0, True, "1", Decimal(1), None])
def test_what_is_no_whole_number_is_refused(minor: Any) -> None:
    with pytest.raises(TypeError, match="whole number"):
        Money(minor, "INR")


@pytest.mark.parametrize("minor", [LIMIT, -LIMIT, 2**63])
def test_what_a_json_client_cannot_hold_is_refused(minor: int) -> None:
    with pytest.raises(ValueError, match="below 2"):
        Money(minor, "INR")
    assert Money(LIMIT - 1, "INR").minor == 2**53 - 1
    with pytest.raises(ValueError, match="below 2"):
        Money(LIMIT - 1, "INR") + Money(1, "INR")


@given(minors, minors, st.sampled_from(CURRENCIES))
def test_adding_and_taking_away_are_those_of_whole_numbers(one: int, other: int, currency: str) -> None:
    assume(abs(one + other) < LIMIT and abs(one - other) < LIMIT)
    a, b = Money(one, currency), Money(other, currency)
    assert (a + b).minor == one + other
    assert a + b == b + a
    assert (a - b) + b == a
    assert [a < b, a <= b, a == b] == [one < other, one <= other, one == other]
    assert [a > b, a >= b, a != b] == [one > other, one >= other, one != other]


@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_two_currencies_do_not_meet(operator: str) -> None:
    """Without the comparison in `_same` each of these would answer."""
    with pytest.raises(CurrencyMismatch):
        getattr(Money(1, "INR"), operator)(Money(1, "JPY"))
    with pytest.raises(TypeError):
        getattr(Money(1, "INR"), operator)(1)
    assert Money(1, "INR") != Money(1, "JPY")


@given(moneys, st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_the_parts_sum_exactly_and_none_is_off_by_a_unit(money: Money, weights: list[int]) -> None:
    parts = money.allocate(weights)
    assert sum(part.minor for part in parts) == money.minor
    assert {part.currency for part in parts} == {money.currency}
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor * sum(weights) - money.minor * weight) < sum(weights)


def test_the_largest_remainder_has_the_unit_that_is_left() -> None:
    assert [part.minor for part in Money(100, "INR").allocate([1, 1, 1])] == [34, 33, 33]
    assert [part.minor for part in Money(10, "INR").allocate([1, 2])] == [3, 7]
    assert [part.minor for part in Money(-10, "INR").allocate([1, 2])] == [-3, -7]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [0.5, 0.5], [True]])
def test_weights_that_share_nothing_out_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="weights"):
        Money(100, "INR").allocate(weights)


@given(moneys)
def test_what_is_written_is_read(money: Money) -> None:
    text = money.format()
    assert Money.parse(text, money.currency, signed=True) == money
    assert Decimal(text) * 10 ** exponent(money.currency) == money.minor
    assert msgspec.json.decode(msgspec.json.encode(money), type=Money) == money


def test_decimal_text_has_the_currencys_digits() -> None:
    shown = [Money(5, currency).format() for currency in CURRENCIES]
    assert shown == ["5", "0.05", "0.005", "0.0005"]
    assert Money(-49900, "INR").format() == "-499.00"
    assert Money.parse("499", "INR") == Money.parse("499.5", "INR") - Money(50, "INR") == Money(49900, "INR")


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "1.", ".5", "1.234", "01", "-1", "+1", "1e3", "NaN", "Infinity", "0x1", "1,000", "1 000", " 1", "1\n",
        "\u0661", "1.\u0662", "\uff11", "9" * 17, "90071992547409.92",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        Money.parse(text, "INR", pointer="/amount")
    assert caught.value.body()["detail"] == "not an amount of this currency"
    assert caught.value.extensions == {"pointer": "/amount"}


def test_yen_have_no_decimals() -> None:
    assert Money.parse("12", "JPY") == Money(12, "JPY")
    with pytest.raises(Invalid):
        Money.parse("12.0", "JPY")


def test_the_wire_has_amount_and_currency() -> None:
    assert msgspec.json.encode(Money(12345, "INR")) == b'{"amount":12345,"currency":"INR"}'


@pytest.mark.parametrize(
    "sent",
    [
        b'{"amount":1.5,"currency":"INR"}',
        b'{"amount":"1","currency":"INR"}',
        b'{"amount":true,"currency":"INR"}',
        b'{"amount":9007199254740992,"currency":"INR"}',
        b'{"amount":1,"currency":"XAU"}',
        b'{"amount":1}',
        b'{"amount":1,"currency":"INR","minor":2}',
    ],
)
def test_what_is_no_money_on_the_wire_is_refused(sent: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(sent, type=Money)


def test_a_process_without_money_does_not_read_the_table() -> None:
    code = "import sys, corekit.values; sys.exit('iso4217' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
