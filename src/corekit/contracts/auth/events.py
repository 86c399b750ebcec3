"""What auth tells: ids, methods and reasons, never an address, so that anybody may listen."""

from uuid import UUID

from corekit.contracts.auth.objects import EndReason
from corekit.events import Event


class UserCreated(Event, frozen=True, tag="auth.user_created"):
    """An account was made."""

    user_id: UUID


class SignedIn(Event, frozen=True, tag="auth.signed_in"):
    """A session began; `new_device` where the account was in use from other networks or clients alone."""

    user_id: UUID
    session_id: UUID
    method: str
    aal: int = 1
    new_device: bool = False


class SessionEnded(Event, frozen=True, tag="auth.session_ended"):
    """A session is over: its tokens are refused and its sockets close."""

    user_id: UUID
    session_id: UUID
    reason: EndReason


class RefreshReuseDetected(Event, frozen=True, tag="auth.refresh_reuse_detected"):
    """A refresh token came back that somebody else had used: the session was ended."""

    user_id: UUID
    session_id: UUID


class PasswordChanged(Event, frozen=True, tag="auth.password_changed"):
    """A password was changed."""

    user_id: UUID


class UserConfirmed(Event, frozen=True, tag="auth.user_confirmed"):
    """An address of the account was confirmed for the first time."""

    user_id: UUID


class UserBanned(Event, frozen=True, tag="auth.user_banned"):
    """The account may do nothing for a time."""

    user_id: UUID


class UserDeleted(Event, frozen=True, tag="auth.user_deleted"):
    """The account is gone; `soft` keeps an empty shell of it."""

    user_id: UUID
    soft: bool


class EmailChanged(Event, frozen=True, tag="auth.email_changed"):
    """The account has another e-mail address."""

    user_id: UUID


class PhoneChanged(Event, frozen=True, tag="auth.phone_changed"):
    """The account has another phone number."""

    user_id: UUID


class FactorEnrolled(Event, frozen=True, tag="auth.factor_enrolled"):
    """A second factor was begun; it counts once it is verified."""

    user_id: UUID
    factor_id: UUID
    factor_type: str


class FactorVerified(Event, frozen=True, tag="auth.factor_verified"):
    """A second factor was verified for the first time: from now on it is asked for."""

    user_id: UUID
    factor_id: UUID
    factor_type: str


class FactorRemoved(Event, frozen=True, tag="auth.factor_removed"):
    """A second factor is gone."""

    user_id: UUID
    factor_id: UUID
    factor_type: str


class PasskeyAdded(Event, frozen=True, tag="auth.passkey_added"):
    """The account can be signed in to with another passkey."""

    user_id: UUID
    passkey_id: UUID


class PasskeyRemoved(Event, frozen=True, tag="auth.passkey_removed"):
    """A passkey is gone."""

    user_id: UUID
    passkey_id: UUID


class RecoveryCodesReplaced(Event, frozen=True, tag="auth.recovery_codes_replaced"):
    """The account has new recovery codes; older ones are void."""

    user_id: UUID


class RecoveryCodeUsed(Event, frozen=True, tag="auth.recovery_code_used"):
    """A recovery code took the place of a second factor."""

    user_id: UUID
    left: int


class IdentityLinked(Event, frozen=True, tag="auth.identity_linked"):
    """The account is known to another provider too."""

    user_id: UUID
    provider: str


class IdentityUnlinked(Event, frozen=True, tag="auth.identity_unlinked"):
    """The account is not known to that provider any more."""

    user_id: UUID
    provider: str


class AccountThrottled(Event, frozen=True, tag="auth.account_throttled"):
    """Failures on the account reached the point where each further attempt waits."""

    user_id: UUID


class KeyRotated(Event, frozen=True, tag="auth.key_rotated"):
    """Another key signs access tokens."""

    kid: str
