"""Rows of people's tables as plain values, for reads that are asked too often for entities."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from corekit.data import Sealed


class UserRecord(msgspec.Struct):
    """What an account's owner sees of it; the fields are columns of `auth_users`."""

    id: UUID
    aud: str
    role: str
    email: str | None
    phone: str | None
    email_confirmed_at: datetime | None
    phone_confirmed_at: datetime | None
    invited_at: datetime | None
    confirmation_sent_at: datetime | None
    recovery_sent_at: datetime | None
    reauthentication_sent_at: datetime | None
    new_email: str | None
    email_change_sent_at: datetime | None
    new_phone: str | None
    phone_change_sent_at: datetime | None
    last_sign_in_at: datetime | None
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    banned_until: datetime | None
    deleted_at: datetime | None
    is_anonymous: bool


class IdentityRecord(msgspec.Struct, frozen=True):
    """One way in which they are known; the fields are columns of `auth_identities`."""

    id: UUID
    provider_id: str
    user_id: UUID
    identity_data: dict[str, Any]
    provider: str
    last_sign_in_at: datetime | None
    created_at: datetime
    updated_at: datetime
    email: str | None


class SessionRecord(msgspec.Struct):
    """One sign-in; the fields are columns of `auth_sessions`, of which `hmac_key` is sealed."""

    id: UUID
    user_id: UUID
    hmac_key: Sealed
    counter: int
    counter_floor: int
    aal: int
    amr: list[Any]
    factor_id: UUID | None
    not_after: datetime | None
    refreshed_at: datetime | None
    created_at: datetime
