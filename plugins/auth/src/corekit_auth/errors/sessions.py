"""Refusals of sign-up, sign-in, sessions, and of one's own account."""

from corekit.errors import Refused
from corekit_auth.errors.base import AuthProblem, Code


class InvalidCredentials(AuthProblem, Refused):
    """Wrong password, unknown or passwordless account: the same answer for all; what was counted stays."""

    slug, status, code, title = "auth-invalid-credentials", 400, 101, "Invalid login credentials"
    error = Code.INVALID_CREDENTIALS


class UnsupportedGrant(AuthProblem):
    """A `grant_type` that does not exist; GoTrue answers it with this code."""

    slug, status, title, error = "auth-unsupported-grant", 400, "unsupported_grant_type", Code.INVALID_CREDENTIALS


class EmailNotConfirmed(AuthProblem):
    """The right password of an account whose address is not confirmed."""

    slug, status, title, error = "auth-email-not-confirmed", 400, "Email not confirmed", Code.EMAIL_NOT_CONFIRMED


class BannedAtSignIn(AuthProblem):
    """The right password, or a good refresh token, of a banned account."""

    slug, status, title, error = "auth-banned-at-sign-in", 400, "User is banned", Code.USER_BANNED


class Banned(AuthProblem):
    """A live access token of a banned account."""

    slug, status, code, title, error = "auth-banned", 403, 103, "User is banned", Code.USER_BANNED


class NoAuthorization(AuthProblem):
    """A route of one's own account without a bearer token."""

    slug, status, code = "auth-no-authorization", 401, 101
    title, error = "This endpoint requires a valid Bearer token", Code.NO_AUTHORIZATION


class BadJwt(AuthProblem):
    """A bearer token that is not ours, forged, or at its end."""

    slug, status, code, error = "auth-bad-jwt", 403, 101, Code.BAD_JWT
    title = "invalid JWT: unable to parse or verify signature"


class SessionNotFound(AuthProblem):
    """A good access token whose session has ended."""

    slug, status, code, error = "auth-session-not-found", 403, 101, Code.SESSION_NOT_FOUND
    title = "Session from session_id claim in JWT does not exist"


class UserNotFound(AuthProblem):
    """A good access token whose account is gone."""

    slug, status, code, error = "auth-user-not-found", 403, 101, Code.USER_NOT_FOUND
    title = "User from sub claim in JWT does not exist"


class NotAdmin(AuthProblem):
    """An administrator's route, or field, for somebody who is none."""

    slug, status, code, title, error = "auth-not-admin", 403, 103, "User not allowed", Code.NOT_ADMIN


class RefreshTokenNotFound(AuthProblem):
    """A refresh token that does not parse, was forged, or whose session has ended."""

    slug, status, code, error = "auth-refresh-token-not-found", 400, 101, Code.REFRESH_TOKEN_NOT_FOUND
    title = "Invalid Refresh Token: Refresh Token Not Found"


class RefreshTokenAlreadyUsed(AuthProblem):
    """A refresh token that somebody had used before: the session is over, unless it came within the reuse interval."""

    slug, status, code, error = "auth-refresh-token-already-used", 400, 101, Code.REFRESH_TOKEN_ALREADY_USED
    title = "Invalid Refresh Token: Already Used"


class RefreshTokenForeign(AuthProblem):
    """A refresh token ahead of its session: one that was never handed out here."""

    slug, status, error = "auth-refresh-token-foreign", 400, Code.VALIDATION_FAILED
    title = "Invalid Refresh Token: Not Issued By This Server"


class RefreshTokenRequired(AuthProblem):
    """A refresh grant without a token; answered in OAuth's form."""

    slug, status, title, error = "auth-refresh-token-required", 400, "refresh_token required", Code.VALIDATION_FAILED


class SessionExpired(AuthProblem):
    """A session too old, or unused for too long."""

    slug, status, code, error = "auth-session-expired", 400, 109, Code.SESSION_EXPIRED
    title = "Invalid Refresh Token: Session Expired"


class SignupDisabled(AuthProblem):
    """Nobody new is taken."""

    slug, status, title, error = (
        "auth-signup-disabled",
        422,
        "Signups not allowed for this instance",
        Code.SIGNUP_DISABLED,
    )


class UserAlreadyExists(AuthProblem):
    """An account with this address exists; said only where addresses are not confirmed by mail."""

    slug, status, title, error = "auth-user-already-exists", 422, "User already registered", Code.USER_ALREADY_EXISTS


class EmailExists(AuthProblem):
    """The new address belongs to another account."""

    slug, status, error = "auth-email-exists", 422, Code.EMAIL_EXISTS
    title = "A user with this email address has already been registered"


class WeakPassword(AuthProblem):
    """A password that is too short, too common, or about its owner; `weak_password.reasons` says which."""

    slug, status, title, error = "auth-weak-password", 422, "Password is too weak", Code.WEAK_PASSWORD


class SamePassword(AuthProblem):
    """The new password is the old one."""

    slug, status, error = "auth-same-password", 422, Code.SAME_PASSWORD
    title = "New password should be different from the old password."


class CurrentPasswordRequired(AuthProblem):
    """A password change without the current password."""

    slug, status, error = "auth-current-password-required", 400, Code.CURRENT_PASSWORD_REQUIRED
    title = "Current password required when setting new password."


class CurrentPasswordInvalid(AuthProblem):
    """A password change with a wrong current password."""

    slug, status, error = "auth-current-password-invalid", 400, Code.CURRENT_PASSWORD_INVALID
    title = "Current password is not correct."


class ReauthenticationNeeded(AuthProblem):
    """A change that needs a fresher sign-in."""

    slug, status, error = "auth-reauthentication-needed", 400, Code.REAUTHENTICATION_NEEDED
    title = "This change needs a recent sign-in: sign in again"


class StaleSignIn(AuthProblem):
    """A change of factors or passkeys that needs a fresher sign-in."""

    slug, status, code, error = "auth-stale-sign-in", 403, 103, Code.REAUTHENTICATION_NEEDED
    title = "This change needs a recent sign-in: sign in again"


class InsufficientAal(AuthProblem):
    """A session at aal1 of somebody who has a second factor."""

    slug, status, code, error = "auth-insufficient-aal", 403, 103, Code.INSUFFICIENT_AAL
    title = "AAL2 required: verify a second factor first"


class ValidationFailed(AuthProblem):
    """A field that does not fit; the detail names it and what is allowed."""

    slug, status, title, error = "auth-validation-failed", 400, "Invalid input", Code.VALIDATION_FAILED


class MetadataTooLarge(AuthProblem):
    """Metadata that would make every access token too large for a header."""

    slug, status, title, error = "auth-metadata-too-large", 422, "Too much user_metadata", Code.VALIDATION_FAILED


class PhoneNotConfirmed(AuthProblem):
    """The right password for a number that was never confirmed."""

    slug, status, title, error = "auth-phone-not-confirmed", 400, "Phone not confirmed", Code.PHONE_NOT_CONFIRMED


class PhoneDisabled(AuthProblem):
    """A phone number, where only e-mail is on."""

    slug, status, title, error = "auth-phone-disabled", 400, "Phone logins are disabled", Code.PHONE_PROVIDER_DISABLED


class AnonymousDisabled(AuthProblem):
    """A sign-up with neither address, where anonymous accounts are off."""

    slug, status, error = "auth-anonymous-disabled", 422, Code.ANONYMOUS_PROVIDER_DISABLED
    title = "Anonymous sign-ins are disabled"


class FeatureDisabled(AuthProblem):
    """Something that the protocol knows and this server has switched off."""

    slug, status, code, error = "auth-feature-disabled", 404, 104, Code.FEATURE_DISABLED
    title = "This feature is disabled"


class CaptchaFailed(AuthProblem):
    """A form whose sender did not solve the captcha."""

    slug, status, error = "auth-captcha-failed", 400, Code.CAPTCHA_FAILED
    title = "captcha protection: request disallowed"


class OverRequestRate(AuthProblem):
    """Too many requests from one address, or failures on one account; `retry_after` is in seconds."""

    slug, status, code, temporary = "auth-over-request-rate", 429, 111, True
    title, error = "Request rate limit reached", Code.OVER_REQUEST_RATE_LIMIT


class Overloaded(AuthProblem):
    """The hashing queue is full; clients keep their session and come again."""

    slug, status, code, temporary = "auth-overloaded", 503, 100, True
    title, error = "Too busy now, try again", Code.UNEXPECTED_FAILURE


class RequestTimeout(AuthProblem):
    """The request took too long."""

    slug, status, code, temporary = "auth-request-timeout", 504, 100, True
    title, error = "Processing this request timed out, please retry after a moment.", Code.REQUEST_TIMEOUT
