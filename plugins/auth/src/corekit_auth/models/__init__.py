"""Auth's tables. An account belongs to the kit, not to a tenant, so none of them is tenant-scoped."""

from corekit_auth.models.codes import FlowStateRow, OneTimeTokenRow, TokenKind
from corekit_auth.models.counters import FailureRow, KnownDeviceRow, RevocationRow
from corekit_auth.models.factors import (
    ChallengeRow,
    FactorRow,
    FactorStatus,
    FactorType,
    PasskeyChallengeRow,
    PasskeyRow,
    RecoveryCodeRow,
)
from corekit_auth.models.keys import KeyState, ServiceKeyRow, SigningKeyRow
from corekit_auth.models.people import IdentityRow, SessionRow, UserRow

__all__ = [
    "ChallengeRow",
    "FactorRow",
    "FactorStatus",
    "FactorType",
    "FailureRow",
    "FlowStateRow",
    "IdentityRow",
    "KeyState",
    "KnownDeviceRow",
    "OneTimeTokenRow",
    "PasskeyChallengeRow",
    "PasskeyRow",
    "RecoveryCodeRow",
    "RevocationRow",
    "ServiceKeyRow",
    "SessionRow",
    "SigningKeyRow",
    "TokenKind",
    "UserRow",
]
