"""GoTrue's objects as they go over the wire. Absent times are left out; absent addresses are empty texts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.models.factors import FactorStatus, FactorType
from corekit_auth.models.plain import IdentityRecord, UserRecord


class IdentityObject(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a user is known: `id` is the provider's name for them."""

    identity_id: UUID
    id: str
    user_id: UUID
    identity_data: dict[str, Any]
    provider: str
    last_sign_in_at: datetime | None
    created_at: datetime
    updated_at: datetime
    email: str | UnsetType = UNSET


class FactorObject(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor, without its secret."""

    id: UUID
    status: FactorStatus
    friendly_name: str | UnsetType = UNSET
    factor_type: FactorType
    phone: str | None = None
    last_challenged_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class UserObject(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as its owner sees it."""

    id: UUID
    aud: str
    role: str
    email: str
    email_confirmed_at: datetime | UnsetType = UNSET
    phone: str = ""
    phone_confirmed_at: datetime | UnsetType = UNSET
    confirmed_at: datetime | UnsetType = UNSET
    invited_at: datetime | UnsetType = UNSET
    confirmation_sent_at: datetime | UnsetType = UNSET
    recovery_sent_at: datetime | UnsetType = UNSET
    reauthentication_sent_at: datetime | UnsetType = UNSET
    new_email: str | UnsetType = UNSET
    email_change_sent_at: datetime | UnsetType = UNSET
    new_phone: str | UnsetType = UNSET
    phone_change_sent_at: datetime | UnsetType = UNSET
    last_sign_in_at: datetime | UnsetType = UNSET
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    factors: list[FactorObject] | UnsetType = UNSET
    identities: list[IdentityObject]
    created_at: datetime
    updated_at: datetime
    banned_until: datetime | UnsetType = UNSET
    deleted_at: datetime | UnsetType = UNSET
    is_anonymous: bool


class SessionObject(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in hands out; `expires_in` is in seconds, `expires_at` in seconds since 1970."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the type's name
    expires_in: int
    expires_at: int
    refresh_token: str
    user: UserObject
    provider_token: str | UnsetType = UNSET
    provider_refresh_token: str | UnsetType = UNSET


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A session handed out, and how its refresh token came about: new, rotated, or the current one once more."""

    session: SessionObject
    session_id: UUID
    counter: int
    rotated: bool = False
    reuse: Literal["", "concurrent-refresh", "fail-to-save"] = ""


def user_object(
    user: UserRow | UserRecord, identities: Iterable[IdentityRow | IdentityRecord], factors: Sequence[FactorObject] = ()
) -> UserObject:
    """Write an account; clients tell from `factors` whether to ask for a second one."""
    return UserObject(
        id=user.id,
        aud=user.aud,
        role=user.role,
        email=user.email or "",
        email_confirmed_at=user.email_confirmed_at or UNSET,
        phone=user.phone or "",
        phone_confirmed_at=user.phone_confirmed_at or UNSET,
        confirmed_at=user.email_confirmed_at or user.phone_confirmed_at or UNSET,
        invited_at=user.invited_at or UNSET,
        confirmation_sent_at=user.confirmation_sent_at or UNSET,
        recovery_sent_at=user.recovery_sent_at or UNSET,
        reauthentication_sent_at=user.reauthentication_sent_at or UNSET,
        new_email=user.new_email or UNSET,
        email_change_sent_at=user.email_change_sent_at or UNSET,
        new_phone=user.new_phone or UNSET,
        phone_change_sent_at=user.phone_change_sent_at or UNSET,
        last_sign_in_at=user.last_sign_in_at or UNSET,
        app_metadata=user.app_metadata,
        user_metadata=user.user_metadata,
        factors=list(factors) or UNSET,
        identities=[_identity(row, user) for row in identities],
        created_at=user.created_at,
        updated_at=user.updated_at,
        banned_until=user.banned_until or UNSET,
        deleted_at=user.deleted_at or UNSET,
        is_anonymous=user.is_anonymous,
    )


def _identity(row: IdentityRow | IdentityRecord, user: UserRow | UserRecord) -> IdentityObject:
    number = {"phone": user.phone} if row.provider == "phone" and user.phone else {}  # sealed in its own column alone
    return IdentityObject(
        identity_id=row.id,
        id=row.provider_id,
        user_id=row.user_id,
        identity_data=row.identity_data | number,
        provider=row.provider,
        last_sign_in_at=row.last_sign_in_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        email=row.email or UNSET,
    )


def with_provider_tokens(grant: Grant, kept: Mapping[str, Any]) -> Grant:
    """Hand a provider's own tokens out beside the session, where there are any."""
    access, refresh = kept.get("provider_token", UNSET), kept.get("provider_refresh_token", UNSET)
    session = msgspec.structs.replace(grant.session, provider_token=access, provider_refresh_token=refresh)
    return msgspec.structs.replace(grant, session=session)
