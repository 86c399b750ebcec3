"""What the core provides itself, and the tables of settings and the purposes that it has for that."""

from collections.abc import Collection
from typing import Any

from corekit.context import Kit
from corekit.contracts.audit import Audit
from corekit.data.redis import Redis
from corekit.delivery import PURPOSE as DELIVERY_PURPOSE
from corekit.delivery import make_senders
from corekit.guard import (
    AUDIT_PURPOSE,
    IDEMPOTENCY_PURPOSE,
    AuditSettings,
    AuditUpkeep,
    Idempotency,
    IdempotencySettings,
    IdempotencyUpkeep,
    Limits,
    LimitSettings,
    SqlAudit,
    make_limits,
)
from corekit.guard import PURPOSE as LIMITS_PURPOSE
from corekit.jobs import Upkeep
from corekit.jobs.runner import PURPOSE as JOBS_PURPOSE
from corekit.settings import Config

# The core's tables; a plugin has its name.
# fmt: off
TABLES = (
    "kit", "database", "web", "jobs", "access", "keyring", "limits", "logs", "audit", "idempotency", "mail", "redis",
    "sms",
)
# fmt: on
KEYRING_PURPOSE = "corekit.keyring"
PURPOSES = {
    AUDIT_PURPOSE: "Audit entries whose time is over are deleted, and operators list them.",
    DELIVERY_PURPOSE: "What would be sent is kept for developers, and shown to them.",
    IDEMPOTENCY_PURPOSE: "Replies are kept for repeated requests, and keys whose time is over are deleted.",
    JOBS_PURPOSE: "The worker moves, claims and finishes jobs of everybody.",
    KEYRING_PURPOSE: "Keys are wrapped and values sealed again under the active key of the keyring.",
    LIMITS_PURPOSE: "Rate limits are counted before anybody is known.",
}


class BuiltIn:
    """Limits, idempotency keys, the audit log, the senders of mail and SMS.

    A plugin that provides the audit log or a sender replaces it.
    """

    def __init__(self, kit: Kit, config: Config, provided: Collection[Any]) -> None:
        self.redis = Redis.of(config)
        keys = config.table("idempotency", IdempotencySettings)
        self.upkeep = (Upkeep(), AuditUpkeep(config.table("audit", AuditSettings)), IdempotencyUpkeep(keys))
        self._idempotency = Idempotency(keys)
        self._limits = config.table("limits", LimitSettings)
        self._senders = make_senders(kit, config, provided)
        self._audit = {} if Audit in provided else {Audit: SqlAudit()}

    @property
    def contracts(self) -> tuple[Any, ...]:
        """What plugins may require without a plugin that provides it."""
        return (Limits, Idempotency, Audit, *self._senders)

    def services(self, kit: Kit) -> dict[Any, Any]:
        """Make the services, by contract, at the start of a kit."""
        limits = make_limits(kit, self._limits, self.redis)
        return {Limits: limits, Idempotency: self._idempotency, **self._audit, **self._senders}
