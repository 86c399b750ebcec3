"""What is sent to Stripe for a call: parameters of the pinned version, without a person in them."""

from typing import Any

from corekit.contracts.payments import CardMethod, ProviderCall, RedirectMethod
from corekit_payments.stripe.amounts import to_stripe
from corekit_payments.stripe.objects import FORM, HELD, noted_capture

_CANCEL_REASONS = frozenset({"abandoned", "duplicate", "fraudulent", "requested_by_customer"})
_REFUND_REASONS = _CANCEL_REASONS - {"abandoned"}
_CHARGE = ["latest_charge"]  # it says until when what is held can be taken


def create_params(call: ProviderCall) -> dict[str, Any]:
    """Ask for an authorisation (ValueError where this method or amount cannot be asked for here)."""
    form = isinstance(call.method, RedirectMethod) and call.method.name == FORM
    params: dict[str, Any] = {
        "amount": to_stripe(call.amount),
        "currency": call.amount.currency.lower(),
        "capture_method": call.capture_method,
        "metadata": _notes(call) | ({"form": FORM} if form else {}),
        "expand": _CHARGE,
    }
    card: dict[str, str] = {}
    if call.capture_method == "manual":
        params["metadata"][HELD] = "yes"
        card["request_multicapture"] = "if_available"
    if call.challenge:
        card["request_three_d_secure"] = "challenge"
    if card:
        params["payment_method_options"] = {"card": card}
    if form:
        return params
    if not isinstance(call.method, CardMethod) or not call.method.token.startswith("pm_"):
        raise ValueError("a card is named by Stripe's own form: pm_…")
    params |= {"confirm": True, "payment_method": call.method.token, "allowed_payment_method_types": ["card"]}
    return params if call.return_url is None else params | {"return_url": call.return_url}


def capture_params(call: ProviderCall) -> dict[str, Any]:
    """Ask for what is held, or a part (ValueError); the rest stays held only where the call says so."""
    units = to_stripe(call.amount)
    params = {"amount_to_capture": units, "metadata": noted_capture(call.reference, units), "expand": _CHARGE}
    return params if call.final else params | {"final_capture": False}  # only multicapture knows the word


def cancel_params(call: ProviderCall) -> dict[str, Any]:
    """Ask for the release of what is held."""
    return {"cancellation_reason": call.reason if call.reason in _CANCEL_REASONS else "requested_by_customer"}


def refund_params(call: ProviderCall) -> dict[str, Any]:
    """Ask for captured money to be given back (ValueError); a reason goes along where it is a word of theirs."""
    params: dict[str, Any] = {
        "payment_intent": intent_of(call.provider_ref),
        "amount": to_stripe(call.amount),
        "metadata": _notes(call),
    }
    return params | ({"reason": call.reason} if call.reason in _REFUND_REASONS else {})


def intent_of(ref: str | None) -> str:
    """Return the intent that a name of ours is of (ValueError where it is of none)."""
    intent = (ref or "").partition("/")[0]
    if not intent.startswith("pi_"):
        raise ValueError("no intent of theirs")
    return intent


def _notes(call: ProviderCall) -> dict[str, str]:
    return {"payment": call.payment, "operation": call.key, "reference": call.reference}
