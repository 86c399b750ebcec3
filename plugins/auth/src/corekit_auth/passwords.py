"""What a new password must be: long enough, not one of the common ones, not about its owner."""

import unicodedata
from collections.abc import Mapping
from importlib import resources
from typing import Any

from corekit_auth.errors import ValidationFailed, WeakPassword
from corekit_auth.pwned import Pwned
from corekit_auth.settings import AuthSettings

LONGEST = 256
_NAMES = ("name", "full_name", "display_name", "first_name", "last_name", "username", "nickname")


class PasswordRules:
    """The rules of `[auth]`; no composition rules, no truncation, no expiry (NIST SP 800-63B-4 §3.1.1.2)."""

    def __init__(self, settings: AuthSettings) -> None:
        self._pwned = Pwned(settings.hibp_url) if settings.hibp else None
        self._shortest = settings.password_min
        self._checks = settings.password_checks
        self._product = {word.casefold() for word in settings.product_words}
        self._common = _common() if settings.password_checks else frozenset()

    async def demand(self, password: str, email: str, metadata: Mapping[str, Any]) -> str:
        """Do what `check` does, and ask whether the password was leaked where `hibp` is on; no context may be open.

        Raises:
            WeakPassword: with `weak_password.reasons`: length, common, context, pwned.
            ValidationFailed: it is too long.

        """
        password = self.check(password, email, metadata)
        if self._pwned is not None and await self._pwned.found(password):
            raise WeakPassword(self._message(["pwned"]), weak_password={"reasons": ["pwned"]})
        return password

    async def close(self) -> None:
        """Close the connections to who knows of leaks."""
        if self._pwned is not None:
            await self._pwned.close()

    def check(self, password: str, email: str, metadata: Mapping[str, Any]) -> str:
        """Return a new password in the form in which it is hashed.

        Raises:
            WeakPassword: with `weak_password.reasons`: length, common, context.
            ValidationFailed: it is too long.

        """
        password = normalise(password)
        reasons = [
            reason
            for reason, found in (
                ("length", len(password) < self._shortest),
                ("common", password.casefold() in self._common),
                ("context", self._checks and self._about(password.casefold(), email, metadata)),
            )
            if found
        ]
        if reasons:
            raise WeakPassword(self._message(reasons), weak_password={"reasons": reasons})
        return password

    def _about(self, folded: str, email: str, metadata: Mapping[str, Any]) -> bool:
        names = [value for key in _NAMES if isinstance(value := metadata.get(key), str)]
        words = {email, email.partition("@")[0], *names, *(part for name in names for part in name.split())}
        return folded in self._product | {word.casefold() for word in words if word}

    def _message(self, reasons: list[str]) -> str:
        said = {
            "length": f"it must have at least {self._shortest} characters",
            "common": "it is one of the most used passwords",
            "context": "it is your address or name, or ours",
            "pwned": "it is known to be in a leak",
        }
        return f"Password is too weak: {', '.join(said[reason] for reason in reasons)}"


def normalise(password: str) -> str:
    """Bring a password into NFKC, so that two keyboards agree on it.

    Raises:
        ValidationFailed: it has more than 256 characters.

    """
    if len(password) > LONGEST or len(normal := unicodedata.normalize("NFKC", password)) > LONGEST:
        raise ValidationFailed(f"password: at most {LONGEST} characters")
    return normal


def _common() -> frozenset[str]:
    text = resources.files("corekit_auth").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
