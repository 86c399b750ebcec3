"""What clients send. Members that are not listed are ignored: the clients send extras."""

import re
from typing import Any

import msgspec

from corekit_auth.errors import ValidationFailed
from corekit_auth.flows import Pkce
from corekit_auth.phones import normal_phone
from corekit_auth.settings import AuthSettings
from corekit_auth.users import normal_email

_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Security(msgspec.Struct, frozen=True):
    """What guards a form against programs."""

    captcha_token: str | None = None


class Guarded(msgspec.Struct, frozen=True, kw_only=True):
    """A body that carries the answer to a captcha, where one is asked for."""

    gotrue_meta_security: Security | None = None

    @property
    def captcha(self) -> str:
        """The answer to the captcha."""
        return (self.gotrue_meta_security and self.gotrue_meta_security.captcha_token) or ""


class Challenge(Guarded, frozen=True, kw_only=True):
    """The PKCE half of a body; it says nothing where an address counts as confirmed at once, but must fit."""

    code_challenge: str | None = None
    code_challenge_method: str | None = None

    def pkce(self, settings: AuthSettings) -> Pkce | None:
        """Read the challenge; refuse half of one, or one of another form (RFC 7636 §4.2).

        Raises:
            ValidationFailed: naming the field.

        """
        if bool(self.code_challenge) != bool(self.code_challenge_method):
            raise ValidationFailed("code_challenge, code_challenge_method: both or neither")
        if not self.code_challenge or not self.code_challenge_method:
            return None
        if not _CHALLENGE.fullmatch(self.code_challenge):
            raise ValidationFailed("code_challenge: 43 to 128 unreserved characters")
        if self.code_challenge_method.lower() == "s256":
            return Pkce(self.code_challenge)
        if self.code_challenge_method.lower() == "plain" and settings.pkce_plain:
            return Pkce(self.code_challenge, "plain")
        raise ValidationFailed("code_challenge_method: only s256")


class SignUpBody(Challenge, frozen=True, kw_only=True):
    """Body of a sign-up."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None


class TokenBody(Guarded, frozen=True, kw_only=True):
    """Body of a token request; each grant reads its own members."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    refresh_token: str | None = None
    auth_code: str | None = None
    code_verifier: str | None = None
    provider: str | None = None
    id_token: str | None = None
    access_token: str | None = None
    nonce: str | None = None
    client_id: str | None = None
    issuer: str | None = None
    link_identity: bool | None = None


class UserBody(Challenge, frozen=True, kw_only=True):
    """Body of a change of the own account."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    current_password: str | None = None
    nonce: str | None = None
    data: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None


class OtpBody(Challenge, frozen=True, kw_only=True):
    """Body of what sends a code: /otp, /magiclink, /recover."""

    email: str | None = None
    phone: str | None = None
    create_user: bool = True
    data: dict[str, Any] | None = None


class ResendBody(Guarded, frozen=True, kw_only=True):
    """Body of a wish for the same mail again."""

    type: str
    email: str | None = None
    phone: str | None = None


class VerifyBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a code that somebody typed, or whose link an application followed."""

    type: str
    token: str | None = None
    token_hash: str | None = None
    email: str | None = None
    phone: str | None = None


def address_of(email: str | None, phone: str | None) -> str | None:
    """Return the one address or number of a body, in its normal form.

    Raises:
        ValidationFailed: there are two, or it is none.

    """
    if email and phone:
        raise ValidationFailed("email, phone: only an email address or phone number should be provided")
    if phone:
        return normal_phone(phone)
    return normal_email(email) if email else None


def demanded(email: str | None, phone: str | None) -> str:
    """Return the one address or number of a body that must have one.

    Raises:
        ValidationFailed: there are two, or none.

    """
    address = address_of(email, phone)
    if address is None:
        raise ValidationFailed("email, phone: an email address or a phone number is required")
    return address
