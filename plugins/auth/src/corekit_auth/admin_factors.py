"""What administrators see and take away of others' second factors and passkeys."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from corekit.context import Context
from corekit.contracts.auth import FactorRemoved, PasskeyRemoved
from corekit_auth.errors import FactorNameConflict, FactorNotFound, NoSuchPasskey, NoSuchUser, ValidationFailed
from corekit_auth.models import FactorRow, FactorStatus, FactorType, PasskeyRow, SessionRow, UserRow
from corekit_auth.telling import tell

_NAME_MAX = 120
_SECOND = frozenset(("totp", "mfa/phone", "mfa/webauthn"))
Row = TypeVar("Row", FactorRow, PasskeyRow)


class FactorItem(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor, without its secret."""

    id: UUID
    status: FactorStatus
    friendly_name: str | UnsetType = UNSET
    factor_type: FactorType
    phone: str | None = None
    last_challenged_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class PasskeyItem(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey, without its key."""

    id: UUID
    friendly_name: str
    created_at: datetime
    last_used_at: datetime | UnsetType = UNSET


class AdminFactors:
    """Works in contexts elevated for `auth.admin`."""

    async def factors(self, ctx: Context, user_id: UUID) -> list[FactorItem]:
        """List the second factors of an account (NoSuchUser)."""
        return [_factor(row) for row in await self._all(ctx, FactorRow, user_id)]

    async def rename_factor(self, ctx: Context, user_id: UUID, factor_id: UUID, name: str) -> FactorItem:
        """Give a second factor another name.

        Raises:
            NoSuchUser, FactorNotFound: it is not there.
            FactorNameConflict: another one of this account has the name.

        """
        if len(name) > _NAME_MAX or "\0" in name:
            raise ValidationFailed(f"friendly_name: at most {_NAME_MAX} characters, none of them NUL")
        row = await self._one(ctx, FactorRow, user_id, factor_id)
        if row is None:
            raise FactorNotFound
        row.friendly_name, row.updated_at = name, ctx.now()
        try:
            await ctx.session.flush()
        except IntegrityError:
            raise FactorNameConflict from None
        return _factor(row)

    async def remove_factor(self, ctx: Context, user_id: UUID, factor_id: UUID) -> FactorItem:
        """Take a second factor away; sessions that it had raised are at level 1 again (NoSuchUser, FactorNotFound)."""
        row = await self._one(ctx, FactorRow, user_id, factor_id)
        if row is None:
            raise FactorNotFound
        raised = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.factor_id == factor_id)
        for session in await ctx.session.scalars(raised):
            session.aal, session.factor_id, session.updated_at = 1, None, ctx.now()
            session.amr = [step for step in session.amr if step["method"] not in _SECOND]
        await ctx.session.delete(row)
        await tell(ctx, FactorRemoved(user_id=user_id, factor_id=factor_id, factor_type=row.type))
        return _factor(row)

    async def passkeys(self, ctx: Context, user_id: UUID) -> list[PasskeyItem]:
        """List the passkeys of an account (NoSuchUser)."""
        return [
            PasskeyItem(
                id=row.id,
                friendly_name=row.friendly_name or "",
                created_at=row.created_at,
                last_used_at=row.last_used_at or UNSET,
            )
            for row in await self._all(ctx, PasskeyRow, user_id)
        ]

    async def remove_passkey(self, ctx: Context, user_id: UUID, passkey_id: UUID) -> None:
        """Take a passkey away (NoSuchUser, NoSuchPasskey)."""
        row = await self._one(ctx, PasskeyRow, user_id, passkey_id)
        if row is None:
            raise NoSuchPasskey
        await ctx.session.delete(row)
        await tell(ctx, PasskeyRemoved(user_id=user_id, passkey_id=passkey_id))

    async def _all(self, ctx: Context, kind: type[Row], user_id: UUID) -> Sequence[Row]:
        await self._demand_user(ctx, user_id)
        return (await ctx.session.scalars(select(kind).where(kind.user_id == user_id).order_by(kind.id))).all()

    async def _one(self, ctx: Context, kind: type[Row], user_id: UUID, row_id: UUID) -> Row | None:
        await self._demand_user(ctx, user_id)
        row: Row | None = await ctx.session.scalar(select(kind).where(kind.id == row_id, kind.user_id == user_id))
        return row

    async def _demand_user(self, ctx: Context, user_id: UUID) -> None:
        if await ctx.session.scalar(select(UserRow.id).where(UserRow.id == user_id)) is None:
            raise NoSuchUser


def _factor(row: FactorRow) -> FactorItem:
    return FactorItem(
        id=row.id,
        status=row.status,
        friendly_name=row.friendly_name or UNSET,
        factor_type=row.type,
        phone=row.phone,
        last_challenged_at=row.last_challenged_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
