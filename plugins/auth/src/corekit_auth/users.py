"""Accounts: their addresses and what is known of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.auth import User, UserCreated
from corekit.events import emit
from corekit.values import uuid7
from corekit_auth.errors import MetadataTooLarge, ValidationFailed
from corekit_auth.factor_list import factor_list, read_factors
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.objects import FactorObject
from corekit_auth.settings import AuthSettings

_EMAIL_MAX = 255
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]+")


class Users:
    """Reads and makes accounts."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings

    async def by_email(self, ctx: Context, email: str) -> UserRow | None:
        """Find the account with this address, in its normal form."""
        mine = select(UserRow).where(UserRow.email == email, UserRow.deleted_at.is_(None))
        found: UserRow | None = await ctx.session.scalar(mine)
        return found

    async def by_id(self, ctx: Context, user_ids: Iterable[UUID]) -> Sequence[UserRow]:
        """Read the accounts that exist."""
        mine = select(UserRow).where(UserRow.id.in_(list(user_ids)), UserRow.deleted_at.is_(None))
        return (await ctx.session.scalars(mine)).all()

    async def locked(self, ctx: Context, user_id: UUID) -> UserRow | None:
        """Read an account that nobody else changes before this work ends (on SQLite nobody else writes at all)."""
        mine = select(UserRow).where(UserRow.id == user_id, UserRow.deleted_at.is_(None)).with_for_update()
        found: UserRow | None = await ctx.session.scalar(mine)
        return found

    async def identities(self, ctx: Context, user_id: UUID) -> list[IdentityRow]:
        """Read the ways in which a user is known, oldest first."""
        mine = select(IdentityRow).where(IdentityRow.user_id == user_id).order_by(IdentityRow.created_at)
        return list((await ctx.session.scalars(mine)).all())

    async def factors(self, ctx: Context, user_id: UUID) -> list[FactorObject]:
        """Read the second factors of a user, oldest first."""
        return await read_factors(ctx, await ctx.session.scalar(select(factor_list(ctx)).where(UserRow.id == user_id)))

    async def add(
        self, ctx: Context, email: str, password_hash: str, metadata: Mapping[str, Any]
    ) -> tuple[UserRow, IdentityRow]:
        """Make an account with a confirmed address."""
        user_id, now = uuid7(), ctx.now()
        user = UserRow(
            id=user_id,
            aud=self._settings.aud,
            role=self._settings.role,
            email=email,
            password_hash=password_hash,
            email_confirmed_at=now,
            app_metadata={"provider": "email", "providers": ["email"]},
            user_metadata=dict(metadata),
            is_anonymous=False,
            created_at=now,
            updated_at=now,
        )
        identity = IdentityRow(
            id=uuid7(),
            user_id=user_id,
            provider="email",
            provider_id=str(user_id),
            identity_data=email_identity(user_id, email),
            email=email,
            last_sign_in_at=now,
            created_at=now,
            updated_at=now,
        )
        ctx.session.add(user)
        await ctx.session.flush()  # the account first: the identity refers to it
        ctx.session.add(identity)
        await emit(ctx, UserCreated(user_id=user_id))
        return user, identity

    def checked_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return metadata that fits into every access token.

        Raises:
            MetadataTooLarge: telling the limit.
            ValidationFailed: it has a character that no text in the database may have.

        """
        written = msgspec.json.encode(metadata)
        if len(written) > self._settings.max_metadata:
            raise MetadataTooLarge(f"data: at most {self._settings.max_metadata} bytes of JSON")
        if b"\\u0000" in written:
            raise ValidationFailed("data: no NUL characters")
        return dict(metadata)


def normal_email(text: str) -> str:
    """Bring an address into the form in which it is stored: trimmed, lower case.

    Raises:
        ValidationFailed: it is none.

    """
    email = text.strip().lower()
    if len(email) > _EMAIL_MAX:
        raise ValidationFailed(f"email: at most {_EMAIL_MAX} characters")
    if not _EMAIL.fullmatch(email):
        raise ValidationFailed("email: Unable to validate email address: invalid format")
    return email


def email_identity(user_id: UUID, email: str) -> dict[str, Any]:
    """Write the data of an identity by address."""
    return {"sub": str(user_id), "email": email, "email_verified": True, "phone_verified": False}


def shared(row: UserRow) -> User:
    """Write an account as other plugins see it."""
    return User(
        id=row.id,
        email=row.email or "",
        role=row.role,
        user_metadata=row.user_metadata,
        created_at=row.created_at,
        banned_until=row.banned_until,
    )
