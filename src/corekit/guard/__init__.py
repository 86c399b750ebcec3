"""Guards of the whole kit: rate limits, idempotency keys, and the audit log."""

from corekit.guard.audit import PURPOSE as AUDIT_PURPOSE
from corekit.guard.audit import AuditSettings, AuditUpkeep, SqlAudit
from corekit.guard.idempotency import PURPOSE as IDEMPOTENCY_PURPOSE
from corekit.guard.idempotency import (
    Claim,
    Idempotency,
    IdempotencyKey,
    IdempotencySettings,
    IdempotencyUpkeep,
    Replay,
    Reply,
)
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
    "IDEMPOTENCY_PURPOSE",
    "PURPOSE",
    "AuditSettings",
    "AuditUpkeep",
    "Claim",
    "Decision",
    "Idempotency",
    "IdempotencyKey",
    "IdempotencySettings",
    "IdempotencyUpkeep",
    "LimitSettings",
    "Limits",
    "MemoryLimits",
    "RedisLimits",
    "Replay",
    "Reply",
    "Rule",
    "SqlAudit",
    "SqlLimits",
    "address_key",
    "make_limits",
    "prefix_key",
]
