"""What every refusal of auth's has: GoTrue's code, for the routes write it in GoTrue's bodies."""

from enum import StrEnum
from typing import ClassVar

from corekit.errors import Problem


class Code(StrEnum):
    """The codes that Supabase clients know; whatever has none of them is `unexpected_failure` or `unknown`."""

    ANONYMOUS_PROVIDER_DISABLED = "anonymous_provider_disabled"
    BAD_CODE_VERIFIER = "bad_code_verifier"
    BAD_JSON = "bad_json"
    BAD_JWT = "bad_jwt"
    BAD_OAUTH_CALLBACK = "bad_oauth_callback"
    BAD_OAUTH_STATE = "bad_oauth_state"
    CAPTCHA_FAILED = "captcha_failed"
    CONFLICT = "conflict"
    CURRENT_PASSWORD_INVALID = "current_password_invalid"  # noqa: S105
    CURRENT_PASSWORD_REQUIRED = "current_password_required"  # noqa: S105
    EMAIL_ADDRESS_INVALID = "email_address_invalid"
    EMAIL_CONFLICT_IDENTITY_NOT_DELETABLE = "email_conflict_identity_not_deletable"
    EMAIL_EXISTS = "email_exists"
    EMAIL_NOT_CONFIRMED = "email_not_confirmed"
    EMAIL_PROVIDER_DISABLED = "email_provider_disabled"
    FEATURE_DISABLED = "feature_disabled"
    FLOW_STATE_EXPIRED = "flow_state_expired"
    FLOW_STATE_NOT_FOUND = "flow_state_not_found"
    HOOK_TIMEOUT = "hook_timeout"
    IDENTITY_ALREADY_EXISTS = "identity_already_exists"
    IDENTITY_NOT_FOUND = "identity_not_found"
    INSUFFICIENT_AAL = "insufficient_aal"
    INVALID_CREDENTIALS = "invalid_credentials"
    INVITE_NOT_FOUND = "invite_not_found"
    MANUAL_LINKING_DISABLED = "manual_linking_disabled"
    MFA_CHALLENGE_EXPIRED = "mfa_challenge_expired"
    MFA_FACTOR_NAME_CONFLICT = "mfa_factor_name_conflict"
    MFA_FACTOR_NOT_FOUND = "mfa_factor_not_found"
    MFA_PHONE_ENROLL_NOT_ENABLED = "mfa_phone_enroll_not_enabled"
    MFA_PHONE_VERIFY_NOT_ENABLED = "mfa_phone_verify_not_enabled"
    MFA_TOTP_ENROLL_NOT_ENABLED = "mfa_totp_enroll_not_enabled"
    MFA_TOTP_VERIFY_NOT_ENABLED = "mfa_totp_verify_not_enabled"
    MFA_VERIFICATION_FAILED = "mfa_verification_failed"
    MFA_VERIFICATION_REJECTED = "mfa_verification_rejected"
    MFA_VERIFIED_FACTOR_EXISTS = "mfa_verified_factor_exists"
    MFA_WEBAUTHN_ENROLL_NOT_ENABLED = "mfa_webauthn_enroll_not_enabled"
    MFA_WEBAUTHN_VERIFY_NOT_ENABLED = "mfa_webauthn_verify_not_enabled"
    NOT_ADMIN = "not_admin"
    NO_AUTHORIZATION = "no_authorization"
    OAUTH_PROVIDER_NOT_SUPPORTED = "oauth_provider_not_supported"
    OTP_DISABLED = "otp_disabled"
    OTP_EXPIRED = "otp_expired"
    OVER_EMAIL_SEND_RATE_LIMIT = "over_email_send_rate_limit"
    OVER_REQUEST_RATE_LIMIT = "over_request_rate_limit"
    OVER_SMS_SEND_RATE_LIMIT = "over_sms_send_rate_limit"
    PASSKEY_DISABLED = "passkey_disabled"
    PHONE_EXISTS = "phone_exists"
    PHONE_NOT_CONFIRMED = "phone_not_confirmed"
    PHONE_PROVIDER_DISABLED = "phone_provider_disabled"
    PROVIDER_DISABLED = "provider_disabled"
    PROVIDER_EMAIL_NEEDS_VERIFICATION = "provider_email_needs_verification"
    REAUTHENTICATION_NEEDED = "reauthentication_needed"
    REAUTHENTICATION_NOT_VALID = "reauthentication_not_valid"
    REFRESH_TOKEN_ALREADY_USED = "refresh_token_already_used"  # noqa: S105
    REFRESH_TOKEN_NOT_FOUND = "refresh_token_not_found"  # noqa: S105
    REQUEST_ENTITY_TOO_LARGE = "request_entity_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    SAME_PASSWORD = "same_password"  # noqa: S105
    SAML_PROVIDER_DISABLED = "saml_provider_disabled"
    SESSION_EXPIRED = "session_expired"
    SESSION_NOT_FOUND = "session_not_found"
    SIGNUP_DISABLED = "signup_disabled"
    SINGLE_IDENTITY_NOT_DELETABLE = "single_identity_not_deletable"
    SMS_SEND_FAILED = "sms_send_failed"
    SSO_PROVIDER_NOT_FOUND = "sso_provider_not_found"
    TOO_MANY_ENROLLED_MFA_FACTORS = "too_many_enrolled_mfa_factors"
    TOO_MANY_PASSKEYS = "too_many_passkeys"
    UNEXPECTED_AUDIENCE = "unexpected_audience"
    UNEXPECTED_FAILURE = "unexpected_failure"
    UNKNOWN = "unknown"
    USER_ALREADY_EXISTS = "user_already_exists"
    USER_BANNED = "user_banned"
    USER_NOT_FOUND = "user_not_found"
    USER_SSO_MANAGED = "user_sso_managed"
    VALIDATION_FAILED = "validation_failed"
    WEAK_PASSWORD = "weak_password"  # noqa: S105
    WEB3_PROVIDER_DISABLED = "web3_provider_disabled"
    WEBAUTHN_CHALLENGE_EXPIRED = "webauthn_challenge_expired"
    WEBAUTHN_CHALLENGE_NOT_FOUND = "webauthn_challenge_not_found"
    WEBAUTHN_CREDENTIAL_EXISTS = "webauthn_credential_exists"
    WEBAUTHN_CREDENTIAL_NOT_FOUND = "webauthn_credential_not_found"
    WEBAUTHN_VERIFICATION_FAILED = "webauthn_verification_failed"


class AuthProblem(Problem):
    """Base of auth's problems: `error` is GoTrue's code; the title is the message that clients show."""

    slug, status, code, title = "auth", 400, 107, "Refused"
    error: ClassVar[Code] = Code.UNKNOWN
