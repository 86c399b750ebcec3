"""What clients send. Members that are not listed are ignored: the clients send extras."""

import re
from typing import Any

import msgspec

from corekit_auth.errors import ValidationFailed

_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The PKCE half of a body; it says nothing where an address counts as confirmed at once, but must fit."""

    code_challenge: str | None = None
    code_challenge_method: str | None = None

    def check(self) -> None:
        """Refuse half a challenge, or one of another form (RFC 7636 §4.2).

        Raises:
            ValidationFailed: naming the field.

        """
        if bool(self.code_challenge) != bool(self.code_challenge_method):
            raise ValidationFailed("code_challenge, code_challenge_method: both or neither")
        if self.code_challenge and not _CHALLENGE.fullmatch(self.code_challenge):
            raise ValidationFailed("code_challenge: 43 to 128 unreserved characters")
        if self.code_challenge_method and self.code_challenge_method.lower() != "s256":
            raise ValidationFailed("code_challenge_method: only s256")


class SignUpBody(Challenge, frozen=True, kw_only=True):
    """Body of a sign-up."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a token request; each grant reads its own members."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    refresh_token: str | None = None


class UserBody(Challenge, frozen=True, kw_only=True):
    """Body of a change of the own account."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    current_password: str | None = None
    data: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
