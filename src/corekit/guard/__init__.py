"""Guards of the whole kit: rate limits."""

from corekit.guard.limits import PURPOSE, Decision, Limits, MemoryLimits, Rule, make_limits

__all__ = ["PURPOSE", "Decision", "Limits", "MemoryLimits", "Rule", "make_limits"]
