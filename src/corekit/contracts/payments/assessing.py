"""What fraud rules go by, and what they say."""

from typing import Literal

import msgspec

from corekit.values import Money

AssessmentOutcome = Literal["allow", "challenge", "review", "block"]  # from lenient to strict


class PaymentCounter(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts one payer, instrument, device or network made in a window of `window_s` seconds.

    This one is included. `sum` is what they came to in the payment's currency, in minor units; null where nobody sums.
    """

    scope: Literal["principal", "instrument", "device", "network"]
    window_s: int
    n: int
    sum: int | None


class PaymentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt before it is sent; for rules alone, to be stored and logged nowhere.

    `instrument` is a keyed hash. `address`, `agent` and `device` are what is known of the client, empty where nothing
    is. `account_age_s` is null where nobody knows the account.
    """

    payment: str
    attempt: int
    payer: str
    payee: str
    amount: Money
    method_type: str
    instrument: str | None
    address: str
    agent: str
    device: str
    account_age_s: int | None
    allow_duplicate: bool
    counters: list[PaymentCounter]


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin's rule says of an attempt: `rule` and its `version` are kept; in `shadow` it acts on nothing."""

    outcome: AssessmentOutcome
    rule: str
    version: int = 1
    shadow: bool = False
