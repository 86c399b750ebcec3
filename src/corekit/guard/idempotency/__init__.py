"""Idempotency keys: a request that is repeated under its key has one effect, and gets one answer."""

from corekit.guard.idempotency.keys import IdempotencyKey, fingerprint, read_key
from corekit.guard.idempotency.problems import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    Replay,
    Unsettled,
)
from corekit.guard.idempotency.store import PURPOSE, Idempotency, IdempotencySettings
from corekit.guard.idempotency.upkeep import IdempotencyUpkeep
from corekit.guard.idempotency.values import Claim, Reply

__all__ = [
    "PURPOSE",
    "Claim",
    "Idempotency",
    "IdempotencyInProgress",
    "IdempotencyKey",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyMissing",
    "IdempotencyKeyReused",
    "IdempotencySettings",
    "IdempotencyUpkeep",
    "Replay",
    "Reply",
    "Unsettled",
    "fingerprint",
    "read_key",
]
