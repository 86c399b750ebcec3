"""Guards of the whole kit: rate limits, and the audit log."""

from corekit.guard.audit import PURPOSE as AUDIT_PURPOSE
from corekit.guard.audit import AuditSettings, AuditUpkeep, SqlAudit
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
    "AUDIT_PURPOSE",
    "PURPOSE",
    "AuditSettings",
    "AuditUpkeep",
    "Decision",
    "LimitSettings",
    "Limits",
    "MemoryLimits",
    "RedisLimits",
    "Rule",
    "SqlAudit",
    "SqlLimits",
    "address_key",
    "make_limits",
    "prefix_key",
]
