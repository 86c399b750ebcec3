"""What Stripe's refusals mean, as data: what was certainly not done, what nobody knows, and why a card was refused."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec

from corekit.contracts.payments import ErrorClass, NotAttempted, OutcomeUnknown

Meaning = Literal["not_attempted", "not_entitled", "unknown", "mismatch", "declined", "rejected"]

# The first table that knows an answer decides: its code, then its type, then its status.
BY_CODE: Mapping[str, Meaning] = {
    "idempotency_key_in_use": "unknown",  # the first call under this key is still running
    "lock_timeout": "not_attempted",
    "rate_limit": "not_attempted",
}
BY_TYPE: Mapping[str, Meaning] = {"idempotency_error": "mismatch"}
BY_STATUS: Mapping[int, Meaning] = {
    400: "rejected",
    401: "not_entitled",
    402: "declined",
    403: "not_entitled",
    404: "rejected",
    409: "unknown",
    429: "not_attempted",
}
_NO = frozenset({"card_error", "invalid_request_error"})  # the types of error by which Stripe itself says no
_SERVER_FAULT = 500

# docs.stripe.com/declines/codes and …/error-codes; of a card, then of a request that could never work.
CLASSES: Mapping[str, ErrorClass] = {
    **dict.fromkeys(("insufficient_funds", "balance_insufficient"), "funds"),
    **dict.fromkeys(
        ("card_velocity_exceeded", "withdrawal_count_limit_exceeded", "invalid_amount", "amount_too_large",
         "amount_too_small", "charge_exceeds_source_limit", "charge_exceeds_transaction_limit"), "limit",
    ),
    **dict.fromkeys(
        ("fraudulent", "lost_card", "stolen_card", "merchant_blacklist", "pickup_card", "restricted_card",
         "security_violation"), "risk",
    ),
    "expired_card": "expired",
    **dict.fromkeys(
        ("authentication_required", "payment_intent_authentication_failure", "authentication_not_handled",
         "mobile_device_authentication_required", "offline_pin_required", "online_or_offline_pin_required",
         "approve_with_id"), "authentication",
    ),
    **dict.fromkeys(("issuer_not_available", "processing_error", "reenter_transaction", "try_again_later"),
                    "retry_later"),
    **dict.fromkeys(
        ("call_issuer", "card_decline_rate_limit_exceeded", "card_declined", "card_not_supported",
         "currency_not_supported", "do_not_honor", "do_not_try_again", "duplicate_transaction", "generic_decline",
         "incorrect_address", "incorrect_cvc", "incorrect_number", "incorrect_pin", "incorrect_zip",
         "invalid_account", "invalid_cvc", "invalid_expiry_month", "invalid_expiry_year", "invalid_number",
         "invalid_pin", "new_account_information_available", "no_action_taken", "not_permitted",
         "pin_try_exceeded", "revocation_of_all_authorizations", "revocation_of_authorization",
         "service_not_allowed", "stop_payment_order", "testmode_decline", "transaction_not_allowed"), "declined",
    ),
}  # fmt: skip

# Why a refund did not arrive (`failure_reason`).
REFUND_CLASSES: Mapping[str, ErrorClass] = {
    "charge_for_pending_refund_disputed": "rejected",
    "declined": "declined",
    "expired_or_canceled_card": "expired",
    "insufficient_funds": "funds",
    "lost_or_stolen_card": "declined",
}


class Failure(msgspec.Struct, frozen=True):
    """The error object of an answer, or of an object of theirs; no text of it is kept, since it may name a person."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None
    payment_intent: dict[str, Any] | None = None

    @property
    def error_class(self) -> ErrorClass | None:
        """Say why, as far as the table knows the codes."""
        return CLASSES.get(self.decline_code or "") or CLASSES.get(self.code or "")

    def shown(self) -> dict[str, str]:
        """Return what may be kept of it."""
        names = ("type", "code", "decline_code", "param")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class Refusal(Exception):
    """They have answered no, and nothing has moved."""

    def __init__(self, failure: Failure, error_class: ErrorClass) -> None:
        super().__init__(failure.code or failure.type or error_class)
        self.failure = failure
        self.error_class = error_class


def failure_of(body: object) -> Failure:
    """Read an error's body; whatever does not read has no codes."""
    try:
        given = body.get("error") if isinstance(body, dict) else None
        return msgspec.convert(given, Failure)
    except msgspec.ValidationError:
        return Failure()


def meaning_of(status: int | None, failure: Failure) -> Meaning:
    """Look an answer up; what no table knows is unknown, and so is a no that somebody between us may have said."""
    by_code, by_type = BY_CODE.get(failure.code or ""), BY_TYPE.get(failure.type or "")
    meaning = by_code or by_type or BY_STATUS.get(status or 0, "unknown")
    return "unknown" if meaning in {"declined", "rejected"} and failure.type not in _NO else meaning


def is_mapped(status: int | None, failure: Failure) -> bool:
    """Tell whether a table knows it: their own faults are known to be unknown."""
    if failure.code in BY_CODE or failure.type in BY_TYPE or (status is not None and status >= _SERVER_FAULT):
        return True
    meaning = BY_STATUS.get(status or 0)
    return meaning is not None and (meaning not in {"declined", "rejected"} or failure.type in _NO)


def exception_of(status: int | None, failure: Failure, retry_after: timedelta | None) -> Exception:
    """Say what to raise for an answer that is no success."""
    why = f"{status}: {failure.code or failure.type or 'no code'}"
    match meaning_of(status, failure):
        case "not_attempted":
            return NotAttempted(why, retry_after=retry_after)
        case "not_entitled":
            return NotAttempted(why, refused=True, retry_after=retry_after)
        case "mismatch":
            return OutcomeUnknown(why, mismatch=True)
        case "declined":
            return Refusal(failure, failure.error_class or "other")
        case "rejected":
            return Refusal(failure, failure.error_class or "rejected")
    return OutcomeUnknown(why)
