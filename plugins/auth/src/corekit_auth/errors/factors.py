"""Refusals of second factors and recovery codes."""

from corekit.errors import Refused
from corekit_auth.errors.base import AuthProblem, Code


class FactorNotFound(AuthProblem):
    """A factor that does not exist, or is somebody else's."""

    slug, status, code, error = "auth-factor-not-found", 404, 104, Code.MFA_FACTOR_NOT_FOUND
    title = "Factor not found"


class FactorNameConflict(AuthProblem):
    """A second factor of this name exists already."""

    slug, status, error = "auth-factor-name-conflict", 422, Code.MFA_FACTOR_NAME_CONFLICT
    title = "A factor with this friendly name already exists for this user"


class TooManyFactors(AuthProblem):
    """The account has as many factors as it may have."""

    slug, status, error = "auth-too-many-factors", 422, Code.TOO_MANY_ENROLLED_MFA_FACTORS
    title = "Maximum number of factors reached, unenroll to continue"


class TotpDisabled(AuthProblem):
    """An enrolment with an authenticator app, where that is off."""

    slug, status, error = "auth-totp-disabled", 422, Code.MFA_TOTP_ENROLL_NOT_ENABLED
    title = "MFA enroll is disabled for TOTP"


class PhoneFactorDisabled(AuthProblem):
    """A phone as second factor, where that is off."""

    slug, status, error = "auth-phone-factor-disabled", 422, Code.MFA_PHONE_ENROLL_NOT_ENABLED
    title = "MFA enroll is disabled for Phone"


class WebauthnFactorDisabled(AuthProblem):
    """A security key as second factor, where that is off."""

    slug, status, error = "auth-webauthn-factor-disabled", 422, Code.MFA_WEBAUTHN_ENROLL_NOT_ENABLED
    title = "MFA enroll is disabled for WebAuthn"


class PhoneFactorUnusable(AuthProblem):
    """A challenge of a phone, where that is off."""

    slug, status, error = "auth-phone-factor-unusable", 422, Code.MFA_PHONE_VERIFY_NOT_ENABLED
    title = "MFA verification is disabled for Phone"


class WebauthnFactorUnusable(AuthProblem):
    """A challenge of a security key, where that is off."""

    slug, status, error = "auth-webauthn-factor-unusable", 422, Code.MFA_WEBAUTHN_VERIFY_NOT_ENABLED
    title = "MFA verification is disabled for WebAuthn"


class VerifiedFactorExists(AuthProblem):
    """A phone that is a verified factor of the account already."""

    slug, status, error = "auth-verified-factor-exists", 422, Code.MFA_VERIFIED_FACTOR_EXISTS
    title = "A verified phone factor already exists, unenroll the existing factor to continue"


class AnonymousHasNoFactors(AuthProblem):
    """An account without an address: it has nothing that a second factor would guard."""

    slug, status, code, error = "auth-anonymous-has-no-factors", 403, 103, Code.NO_AUTHORIZATION
    title = "An anonymous user has no second factors"


class UnenrollNeedsAal2(AuthProblem):
    """A verified factor is removed by a session that has passed one."""

    slug, status, code, error = "auth-unenroll-needs-aal2", 422, 103, Code.INSUFFICIENT_AAL
    title = "AAL2 required to unenroll verified factor"


class ChallengeExpired(AuthProblem):
    """A challenge that is unknown, of another session, answered, out of tries, or too old."""

    slug, status, error = "auth-challenge-expired", 422, Code.MFA_CHALLENGE_EXPIRED
    title = "MFA challenge has expired, create a new challenge"


class VerificationFailed(AuthProblem, Refused):
    """A code that is wrong, or was used before; what it counted stays."""

    slug, status, error = "auth-verification-failed", 422, Code.MFA_VERIFICATION_FAILED
    title = "Invalid code entered"


class FactorDisabled(AuthProblem):
    """A factor that took too many wrong codes; a recovery code enables it again."""

    slug, status, error = "auth-factor-disabled", 422, Code.MFA_VERIFICATION_FAILED
    title = "This factor is disabled after too many wrong codes: use a recovery code"


class VerificationRejected(AuthProblem, Refused):
    """A code that a hook refused, right or wrong; `end_sessions` where it wants the person signed out."""

    slug, status, code, error = "auth-verification-rejected", 403, 103, Code.MFA_VERIFICATION_REJECTED
    title = "Further MFA verification attempts will be rejected."

    def __init__(self, detail: str = "", *, end_sessions: bool = False) -> None:
        super().__init__(detail)
        self.end_sessions = end_sessions
