"""Guards of the whole kit: rate limits."""

from corekit.guard.limits import (
    PURPOSE,
    Decision,
    Limits,
    LimitSettings,
    MemoryLimits,
    RedisLimits,
    Rule,
    SqlLimits,
    address_key,
    make_limits,
    prefix_key,
)

__all__ = [
    "PURPOSE",
    "Decision",
    "LimitSettings",
    "Limits",
    "MemoryLimits",
    "RedisLimits",
    "Rule",
    "SqlLimits",
    "address_key",
    "make_limits",
    "prefix_key",
]
