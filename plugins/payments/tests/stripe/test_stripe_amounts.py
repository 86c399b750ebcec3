"""Money as Stripe writes it: back and forth is the same, and what has no form there is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.values import Money
from corekit_payments.stripe.amounts import CURRENCIES, of_stripe, to_stripe


@pytest.mark.parametrize(
    ("money", "units"),
    [
        (Money(1050, "INR"), 1050),
        (Money(500, "JPY"), 500),
        (Money(5, "ISK"), 500),
        (Money(5120, "KWD"), 5120),
        (Money(700, "MGA"), 7),
        (Money(1045, "HUF"), 1045),
        (Money(300, "KRW"), 300),
    ],
)
def test_units(money: Money, units: int) -> None:
    assert to_stripe(money) == units
    assert of_stripe(units, money.currency.lower()) == money


@pytest.mark.parametrize("money", [Money(5124, "KWD"), Money(750, "MGA")])
def test_what_stripe_has_no_form_for(money: Money) -> None:
    with pytest.raises(ValueError, match=r"digit|fraction"):
        to_stripe(money)


@pytest.mark.parametrize(("units", "currency"), [(550, "isk"), (1, "xau"), (1, "")])
def test_what_we_have_no_form_for(units: int, currency: str) -> None:
    with pytest.raises(ValueError, match=r"fraction|currency"):
        of_stripe(units, currency)


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(0, 10**9))
def test_there_and_back(currency: str, minor: int) -> None:
    money = Money(minor, currency)
    try:
        units = to_stripe(money)
    except ValueError:
        return
    assert of_stripe(units, currency.lower()) == money
