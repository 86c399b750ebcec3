"""Refusals of codes, links and flows."""

from corekit.errors import Refused
from corekit_auth.errors.base import AuthProblem, Code


class OtpExpired(AuthProblem, Refused):
    """A code or link that is wrong, used, too old or tried too often: one answer for all, and the try counts."""

    slug, status, code, error = "auth-otp-expired", 403, 101, Code.OTP_EXPIRED
    title = "Token has expired or is invalid"


class OtpDisabled(AuthProblem):
    """A code for an unknown address, where nobody new is taken; said in the profile `supabase` alone."""

    slug, status, title, error = "auth-otp-disabled", 422, "Signups not allowed for otp", Code.OTP_DISABLED


class EmailDisabled(AuthProblem):
    """An e-mail address, where signing in by mail is off."""

    slug, status, title, error = "auth-email-disabled", 400, "Email logins are disabled", Code.EMAIL_PROVIDER_DISABLED


class OverEmailRate(AuthProblem):
    """Too many mails to one address, or from this server; `retry_after` is in seconds."""

    slug, status, code, temporary = "auth-over-email-rate", 429, 111, True
    title, error = "email rate limit exceeded", Code.OVER_EMAIL_SEND_RATE_LIMIT


class OverSmsRate(AuthProblem):
    """Too many SMS to one number, or from this server; `retry_after` is in seconds."""

    slug, status, code, temporary = "auth-over-sms-rate", 429, 111, True
    title, error = "sms rate limit exceeded", Code.OVER_SMS_SEND_RATE_LIMIT


class SmsSendFailed(AuthProblem):
    """A code for a phone, where nothing sends SMS."""

    slug, status, title, error = "auth-sms-send-failed", 422, "No SMS provider is set", Code.SMS_SEND_FAILED


class FlowStateNotFound(AuthProblem):
    """An `auth_code` that was never issued, or was exchanged before."""

    slug, status, code, error = "auth-flow-state-not-found", 404, 102, Code.FLOW_STATE_NOT_FOUND
    title = "invalid flow state, no valid flow state found"


class FlowStateExpired(AuthProblem):
    """An `auth_code` that came too late."""

    slug, status, error = "auth-flow-state-expired", 422, Code.FLOW_STATE_EXPIRED
    title = "invalid flow state, flow state has expired"


class BadCodeVerifier(AuthProblem):
    """A `code_verifier` that does not fit the challenge with which the flow began."""

    slug, status, error = "auth-bad-code-verifier", 400, Code.BAD_CODE_VERIFIER
    title = "code challenge does not match previously saved code verifier"


class ReauthenticationNotValid(AuthProblem, Refused):
    """A `nonce` that is wrong, used or too old; the try stays counted."""

    slug, status, error = "auth-reauthentication-not-valid", 422, Code.REAUTHENTICATION_NOT_VALID
    title = "Verify the phone or email first to make this change: the nonce is wrong or too old"


class Aal2Needed(AuthProblem):
    """A change of the own account from a session at aal1 of somebody who has a second factor."""

    slug, status, code, error = "auth-aal2-needed", 401, 103, Code.INSUFFICIENT_AAL
    title = "AAL2 session is required to update email or password when MFA is enabled."


class UnconfirmedAddress(AuthProblem):
    """A code to an address of which nobody knows yet whether it is the owner's."""

    slug, status, title, error = "auth-unconfirmed-address", 422, "Email not confirmed", Code.EMAIL_NOT_CONFIRMED
