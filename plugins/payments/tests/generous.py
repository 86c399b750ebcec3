"""Fraud rules that are all asked and object to nothing that other tests do: the defaults are tested for themselves."""

import msgspec

from corekit_payments.fraud.settings import AmountRule, FraudSettings, NewAccountRule, VelocityRule

_MANY = 1_000_000

GENEROUS = FraudSettings(
    off=("duplicate",),  # the clock of a test stands still
    amount=AmountRule(bounds={}),
    velocity=VelocityRule(scopes=("principal",), minute=_MANY, hour=None, day=None, day_sum={}),
    new_account=NewAccountRule(day_sum={}),
)
GENEROUS_TABLE = msgspec.to_builtins(GENEROUS)
