"""Accounts: their addresses and what is known of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, bindparam, exists, select

from corekit.context import Context
from corekit.contracts.auth import User, UserCreated, UserDraft, after_user_created, before_user_created
from corekit.values import uuid7
from corekit_auth.errors import MetadataTooLarge, ValidationFailed
from corekit_auth.factor_list import factor_list, read_factors
from corekit_auth.hashing import OWN_HASH
from corekit_auth.hook_time import in_time
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.objects import FactorObject
from corekit_auth.phones import is_phone
from corekit_auth.settings import AuthSettings
from corekit_auth.telling import tell

_EMAIL_MAX = 255
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]+")
# Built once: building a statement costs about as much as running it.
_LIVE = select(UserRow).where(UserRow.deleted_at.is_(None))
_BY_EMAIL = _LIVE.where(UserRow.email == bindparam("email"))
_BY_PHONE = _LIVE.where(UserRow.phone_index == bindparam("index"))
_LOCKED = _LIVE.where(UserRow.id == bindparam("user_id")).with_for_update()
_IDENTITIES = select(IdentityRow).where(IdentityRow.user_id == bindparam("user_id")).order_by(IdentityRow.created_at)


class Users:
    """Reads and makes accounts."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings

    async def by_email(self, ctx: Context, email: str) -> UserRow | None:
        """Find the account with this address, in its normal form."""
        found: UserRow | None = await ctx.session.scalar(_BY_EMAIL, {"email": email})
        return found

    async def by_phone(self, ctx: Context, phone: str) -> UserRow | None:
        """Find the account with this number, in its normal form."""
        index = ctx.kit.keyring.index("phone", phone)
        found: UserRow | None = await ctx.session.scalar(_BY_PHONE, {"index": index})
        return found

    async def at(self, ctx: Context, address: str) -> UserRow | None:
        """Find the account with this address or number, in its normal form."""
        return await (self.by_phone(ctx, address) if is_phone(address) else self.by_email(ctx, address))

    async def by_id(self, ctx: Context, user_ids: Iterable[UUID]) -> Sequence[UserRow]:
        """Read the accounts that exist."""
        mine = _LIVE.where(UserRow.id.in_(list(user_ids)))
        return (await ctx.session.scalars(mine)).all()

    async def locked(self, ctx: Context, user_id: UUID) -> UserRow | None:
        """Read an account that nobody else changes before this work ends (on SQLite nobody else writes at all)."""
        found: UserRow | None = await ctx.session.scalar(_LOCKED, {"user_id": user_id})
        return found

    async def any_imported(self, ctx: Context) -> bool:
        """Tell whether passwords are stored that were hashed elsewhere, or with other parameters."""
        ours = UserRow.password_hash.startswith(OWN_HASH, autoescape=True)
        found = select(exists(select(UserRow.id).where(UserRow.password_hash.is_not(None), ~ours)))
        return bool(await ctx.session.scalar(found))

    async def identities(self, ctx: Context, user_id: UUID) -> list[IdentityRow]:
        """Read the ways in which a user is known, oldest first."""
        return list((await ctx.session.scalars(_IDENTITIES, {"user_id": user_id})).all())

    async def factors(self, ctx: Context, user_id: UUID) -> list[FactorObject]:
        """Read the second factors of a user, oldest first."""
        statement = select(factor_list(ctx.kit.database.dialect)).where(UserRow.id == user_id)
        return await read_factors(ctx, await ctx.session.scalar(statement))

    async def ways(self, ctx: Context, user_id: UUID) -> tuple[list[IdentityRow], list[FactorObject]]:
        """Read identities and second factors of an account that is there, in one statement."""
        rows = (await ctx.session.execute(_ways(ctx.kit.database.dialect), {"user_id": user_id})).all()
        factors = await read_factors(ctx, rows[0][1])
        return [row[0] for row in rows if row[0] is not None], factors

    async def add(
        self,
        ctx: Context,
        address: str,
        password_hash: str | None,
        metadata: Mapping[str, Any],
        *,
        confirmed: bool = True,
    ) -> tuple[UserRow, IdentityRow]:
        """Make an account with an address or number, asking the hooks."""
        return await self.create(ctx, await self.draft(ctx, address, metadata), password_hash, confirmed=confirmed)

    async def draft(self, ctx: Context, address: str, metadata: Mapping[str, Any]) -> UserDraft:
        """Draft an account with an address or number and let the hooks change it or refuse it; these stay."""
        provider = "phone" if is_phone(address) else "email"
        draft = UserDraft(
            id=uuid7(),
            email=address if provider == "email" else "",
            phone=address if provider == "phone" else "",
            provider=provider,
            role=self._settings.role,
            app_metadata={"provider": provider, "providers": [provider]},
            user_metadata=dict(metadata),
        )
        return await self.asked(ctx, draft)

    async def asked(self, ctx: Context, draft: UserDraft) -> UserDraft:
        """Let the hooks change a draft or refuse it; its id and addresses stay."""
        made = await in_time(self._settings.hook_timeout, ctx.kit.hooks.pipe(before_user_created, draft, ctx))
        known = self.checked_metadata(made.user_metadata)
        return msgspec.structs.replace(
            made, id=draft.id, email=draft.email, phone=draft.phone, provider=draft.provider, user_metadata=known
        )

    async def create(
        self, ctx: Context, draft: UserDraft, password_hash: str | None, *, confirmed: bool
    ) -> tuple[UserRow, IdentityRow]:
        """Make the account of a draft; the hooks write beside it."""
        user, identity = self.rows(ctx, draft, password_hash, confirmed=confirmed)
        await self.insert(ctx, user, identity)
        return user, identity

    async def insert(self, ctx: Context, user: UserRow, identity: IdentityRow) -> None:
        """Write a new account with its first identity, and tell those who write beside it."""
        ctx.session.add(user)
        await ctx.session.flush()  # the account first: the identity refers to it
        ctx.session.add(identity)
        await ctx.session.flush()
        await self.made(ctx, user)

    async def made(self, ctx: Context, user: UserRow) -> None:
        """Tell of a new account, and let the hooks write beside it."""
        await tell(ctx, UserCreated(user_id=user.id))
        await in_time(self._settings.hook_timeout, ctx.kit.hooks.each(after_user_created, shared(user), ctx))

    def rows(
        self, ctx: Context, draft: UserDraft, password_hash: str | None, *, confirmed: bool
    ) -> tuple[UserRow, IdentityRow]:
        """Write an account and its first identity, in memory alone."""
        now = ctx.now()
        user = UserRow(
            id=draft.id,
            aud=self._settings.aud,
            role=draft.role,
            email=draft.email or None,
            phone=draft.phone or None,
            phone_index=ctx.kit.keyring.index("phone", draft.phone) if draft.phone else None,
            password_hash=password_hash,
            email_confirmed_at=now if confirmed and draft.email else None,
            phone_confirmed_at=now if confirmed and draft.phone else None,
            app_metadata=draft.app_metadata,
            user_metadata=draft.user_metadata,
            is_anonymous=False,
            created_at=now,
            updated_at=now,
        )
        return user, own_identity_row(user, now, verified=confirmed)

    def checked_metadata(self, metadata: Mapping[str, Any], field: str = "data") -> dict[str, Any]:
        """Return metadata that fits into every access token.

        Raises:
            MetadataTooLarge: telling the limit.
            ValidationFailed: it has a character that no text in the database may have.

        """
        written = msgspec.json.encode(metadata)
        if len(written) > self._settings.max_metadata:
            raise MetadataTooLarge(f"{field}: at most {self._settings.max_metadata} bytes of JSON")
        if b"\\u0000" in written:
            raise ValidationFailed(f"{field}: no NUL characters")
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


def email_identity(user_id: UUID, email: str, *, verified: bool = True) -> dict[str, Any]:
    """Write the data of an identity by address."""
    return {"sub": str(user_id), "email": email, "email_verified": verified, "phone_verified": False}


def own_identity_row(user: UserRow, now: datetime, *, verified: bool) -> IdentityRow:
    """Write the identity by address or number of an account; the number stays in its sealed column alone."""
    email = user.email
    return IdentityRow(
        id=uuid7(),
        user_id=user.id,
        provider="email" if email else "phone",
        provider_id=str(user.id),
        identity_data=email_identity(user.id, email, verified=verified)
        if email
        else {"sub": str(user.id), "email_verified": False, "phone_verified": verified},
        email=email,
        last_sign_in_at=now,
        created_at=now,
        updated_at=now,
    )


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


@cache
def _ways(dialect: str) -> Select[*tuple[Any, ...]]:
    return (
        select(IdentityRow, factor_list(dialect))
        .select_from(UserRow)
        .outerjoin(IdentityRow, IdentityRow.user_id == UserRow.id)
        .where(UserRow.id == bindparam("user_id"))
        .order_by(IdentityRow.created_at)
    )
