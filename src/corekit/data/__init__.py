"""The database: tables, engines, the hot path, migrations, encryption and PII marks."""

from corekit.data.base import Base, Id, Instant, Json
from corekit.data.crypto import Encrypted, Keyring, Sealed
from corekit.data.engines import Database, Work
from corekit.data.lanes import Batch, Lane, LaneSpec
from corekit.data.options import DatabaseSettings, SqliteSettings
from corekit.data.pii import PII
from corekit.data.policy import Policy, Predicate, actor, current_tenant, has_permission
from corekit.data.reads import Read, Row

__all__ = [
    "PII",
    "Base",
    "Batch",
    "Database",
    "DatabaseSettings",
    "Encrypted",
    "Id",
    "Instant",
    "Json",
    "Keyring",
    "Lane",
    "LaneSpec",
    "Policy",
    "Predicate",
    "Read",
    "Row",
    "Sealed",
    "SqliteSettings",
    "Work",
    "actor",
    "current_tenant",
    "has_permission",
]
