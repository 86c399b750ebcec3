"""Rate limits: rules, and the stores that count them alike."""

from corekit.guard.limits.keys import address_key, prefix_key
from corekit.guard.limits.memory import MemoryLimits
from corekit.guard.limits.redis import RedisLimits
from corekit.guard.limits.rules import Decision, Limits, Rule
from corekit.guard.limits.sql import PURPOSE, SqlLimits
from corekit.guard.limits.stores import LimitSettings, make_limits

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
