"""The measure itself: a wrong member is found, whichever way it is wrong."""

from typing import Any

import pytest
from stripe_shapes import SHAPES, complaints  # beside this file

RIGHT: dict[str, Any] = {
    "amount": 100,
    "currency": "inr",
    "capture_method": "manual",
    "metadata": {"reference": "R"},
    "expand": ["latest_charge"],
    "confirm": True,
    "payment_method": "pm_1",
    "allowed_payment_method_types": ["card"],
    "payment_method_options": {"card": {"request_multicapture": "if_available"}},
}


def test_what_is_right_is_right() -> None:
    assert complaints("payment_intents", "create", RIGHT) == []
    within = {"created": {"gte": 1, "lt": 2}, "limit": 100, "starting_after": "x"}
    for resource in ("payment_intents", "refunds", "balance_transactions"):
        assert complaints(resource, "list", within) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types: unknown"),
        ({"idempotency_key": "k"}, "idempotency_key: unknown"),
        ({"api_key": "k"}, "api_key: unknown"),
        ({"amount": "100"}, "amount: str"),
        ({"amount": True}, "amount: bool"),
        ({"confirm": 1}, "confirm: int"),
        ({"capture_method": "later"}, "'later' is none of theirs"),
        ({"allowed_payment_method_types": ["card", "cash"]}, "'cash' is none of theirs"),
        ({"metadata": {"reference": 1}}, "metadata.reference: int"),
        ({"metadata": ["reference"]}, "metadata"),
        ({"payment_method_options": {"card": {"request_multicapture": "always"}}}, "none of theirs"),
        ({"payment_method_options": {"card": {"multicapture": "if_available"}}}, "multicapture: unknown"),
    ],
)
def test_a_wrong_member_is_found(wrong: dict[str, Any], said: str) -> None:
    found = complaints("payment_intents", "create", RIGHT | wrong)
    assert any(said in one for one in found), found


@pytest.mark.parametrize("name", ["amount", "currency"])
def test_a_missing_member_is_found(name: str) -> None:
    less = {key: value for key, value in RIGHT.items() if key != name}
    assert complaints("payment_intents", "create", less) == [f"payment_intents.create.{name}: missing"]


def test_reasons_are_words_of_theirs() -> None:
    for reason in ("abandoned", "duplicate", "fraudulent", "requested_by_customer"):
        assert complaints("payment_intents", "cancel", {"cancellation_reason": reason}) == []
    assert complaints("payment_intents", "cancel", {"cancellation_reason": "mood"})
    assert complaints("refunds", "create", {"reason": "abandoned"})


def test_every_verb_has_a_shape() -> None:
    for resource, verb in SHAPES:
        assert complaints(resource, verb, {"nonsense": 1})
