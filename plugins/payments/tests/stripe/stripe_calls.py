"""Calls as the driver makes them, numbered."""

from typing import Any

from corekit.contracts.payments import CardMethod, ProviderCall
from corekit.values import Money
from corekit_payments.stripe.provider import StripeProvider


def call(kind: Any = "authorize", number: int = 1, amount: int = 1000, **more: Any) -> ProviderCall:
    given = {"method": CardMethod(token="pm_ok"), "currency": "INR", **more}
    return ProviderCall(
        key=f"pop_{number}", reference=f"REF{number}", kind=kind, amount=Money(amount, given.pop("currency")),
        payment="pay_1", **given,
    )  # fmt: skip


async def held(provider: StripeProvider) -> str:
    made = await provider.create(call(capture_method="manual"))
    assert (made.state, made.captured) == ("succeeded", None)
    return made.provider_ref or ""
