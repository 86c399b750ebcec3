"""Refusals of passkeys."""

from corekit_auth.errors.base import AuthProblem, Code


class PasskeyDisabled(AuthProblem):
    """Passkeys are switched off."""

    slug, status, code = "auth-passkey-disabled", 404, 104
    title, error = "Passkeys are disabled", Code.PASSKEY_DISABLED


class AnonymousHasNoPasskeys(AuthProblem):
    """An anonymous account, which has to become somebody's before it is worth a passkey."""

    slug, status, code, error = "auth-anonymous-has-no-passkeys", 403, 103, Code.NO_AUTHORIZATION
    title = "Anonymous users cannot have passkeys"


class TooManyPasskeys(AuthProblem):
    """The account has as many passkeys as it may have."""

    slug, status, error = "auth-too-many-passkeys", 422, Code.TOO_MANY_PASSKEYS
    title = "Maximum number of passkeys reached"


class CredentialExists(AuthProblem):
    """This authenticator's credential is registered already."""

    slug, status, error = "auth-credential-exists", 422, Code.WEBAUTHN_CREDENTIAL_EXISTS
    title = "This credential is already registered"


class PasskeyChallengeNotFound(AuthProblem):
    """A challenge that was never put, was put to somebody else, or was answered before."""

    slug, status, error = "auth-passkey-challenge-not-found", 400, Code.WEBAUTHN_CHALLENGE_NOT_FOUND
    title = "Challenge not found or already used"


class PasskeyChallengeExpired(AuthProblem):
    """A challenge that was answered too late."""

    slug, status, error = "auth-passkey-challenge-expired", 400, Code.WEBAUTHN_CHALLENGE_EXPIRED
    title = "Challenge has expired"


class PasskeyNotVerified(AuthProblem):
    """An answer that does not hold, or of a credential that nobody has here: the same for both."""

    slug, status, code, error = "auth-passkey-not-verified", 400, 101, Code.WEBAUTHN_VERIFICATION_FAILED
    title = "Credential verification failed"


class PasskeyNotFound(AuthProblem):
    """One's own passkey that is none, or no longer."""

    slug, status, code = "auth-passkey-not-found", 404, 104
    title, error = "Passkey not found", Code.VALIDATION_FAILED
