"""What an administrator wants an account to be."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from corekit.errors import Invalid
from corekit.values import parse_id
from corekit_auth import imported_hashes
from corekit_auth.durations import duration
from corekit_auth.errors import ValidationFailed
from corekit_auth.phones import normal_phone
from corekit_auth.users import normal_email

_NAME_MAX = 255


class AccountDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is left out, null or empty stays as it is; in the metadata, a key set to null goes away.

    `password_hash` brings a hash from elsewhere. `ban_duration` is a time such as `24h`, or `none`.
    """

    id: str | None = None
    aud: str | None = None
    role: str | None = None
    email: str | None = None
    phone: str | None = None
    password: str | None = None
    password_hash: str | None = None
    email_confirm: bool | None = None
    phone_confirm: bool | None = None
    user_metadata: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    ban_duration: str | None = None

    def normal(self) -> "AccountDraft":
        """Return it with addresses in their stored form.

        Raises:
            ValidationFailed: naming the field and what is allowed.

        """
        if self.password and self.password_hash:
            raise ValidationFailed("password, password_hash: only one of them")
        for field, text in (("role", self.role), ("aud", self.aud)):
            if text and (len(text) > _NAME_MAX or not text.isprintable() or text != text.strip()):
                raise ValidationFailed(f"{field}: at most {_NAME_MAX} printable characters, without blanks around")
        return msgspec.structs.replace(
            self,
            email=normal_email(self.email) if self.email else None,
            phone=normal_phone(self.phone) if self.phone else None,
            password_hash=imported_hashes.checked(self.password_hash) if self.password_hash else None,
        )

    @property
    def user_id(self) -> UUID | None:
        """The id that the account is to have."""
        return account_id(self.id, "id") if self.id else None

    def banned_until(self, now: datetime) -> datetime | UnsetType | None:
        """Return when the ban ends; None lifts it, unset leaves it."""
        if not self.ban_duration:
            return UNSET
        return None if self.ban_duration == "none" else now + duration(self.ban_duration, "ban_duration")


def account_id(text: str, field: str) -> UUID:
    """Read the id of an account, as a UUID or as `usr_…`.

    Raises:
        ValidationFailed: naming the field.

    """
    try:
        found = parse_id("usr", text)
    except Invalid:
        found = UUID(int=0)
    if not found.int:
        raise ValidationFailed(f"{field}: must be a UUID or usr_…")
    return found


def row_id(text: str, field: str) -> UUID:
    """Read the id of something that belongs to an account (ValidationFailed)."""
    try:
        return UUID(text)
    except ValueError:
        raise ValidationFailed(f"{field}: must be a UUID") from None


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay new metadata over the old; null takes a key away."""
    return {key: value for key, value in {**old, **new}.items() if value is not None}
