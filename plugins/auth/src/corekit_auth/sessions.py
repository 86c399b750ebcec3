"""Sessions: one row each, begun by a proof, ended by deletion."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, delete, select

from corekit.context import Actor, Context
from corekit.contracts.auth import EndReason, SessionEnded, SessionInfo, SignedIn
from corekit.data import Id
from corekit.values import uuid7
from corekit_auth.devices import Devices
from corekit_auth.errors import Banned, SessionNotFound, UserNotFound
from corekit_auth.factor_list import factor_list, read_factors
from corekit_auth.gate import session_of
from corekit_auth.models import IdentityRow, SessionRow, UserRow
from corekit_auth.objects import FactorObject
from corekit_auth.revocations import Revocations
from corekit_auth.telling import tell

AGENT_MAX = 512


class Account(msgspec.Struct, frozen=True):
    """An account with its identities and second factors, seen from one of its sessions."""

    user: UserRow
    session: SessionRow
    identities: list[IdentityRow]
    factors: list[FactorObject]


def step(method: str, now: datetime, provider: str | None = None) -> dict[str, Any]:
    """Write one step of a sign-in, as `amr` lists them (RFC 8176, with the protocol's own names)."""
    return {"method": method, "timestamp": int(now.timestamp())} | ({"provider": provider} if provider else {})


class Sessions:
    """Begins, reads and ends sessions."""

    def __init__(self, revocations: Revocations, devices: Devices, *, single: bool = False) -> None:
        self._revocations = revocations
        self._devices = devices
        self._single = single
        # Built once: that costs more than the factors do.
        self._account: Select[SessionRow, UserRow, IdentityRow, str | None] | None = None

    async def begin(
        self,
        ctx: Context,
        user: UserRow,
        method: str,
        *,
        aal: int = 1,
        provider: str | None = None,
        tag: str | None = None,
    ) -> tuple[SessionRow, bytes]:
        """Begin a session; return it and the key of its refresh tokens, which is stored sealed.

        With `single_session` it ends the others that have the same `tag`, as those without any have.
        """
        key, session_id, client, now = os.urandom(32), uuid7(), ctx.caller.client, ctx.now()
        row = SessionRow(
            id=session_id,
            user_id=user.id,
            hmac_key=key,
            counter=0,
            counter_floor=0,
            aal=aal,
            amr=[step(method, now, provider)],
            user_agent=client.user_agent[:AGENT_MAX] or None,
            ip=client.address or None,
            tag=tag,
            created_at=now,
            updated_at=now,
        )
        user.last_sign_in_at = now
        await ctx.session.flush()  # the account first: the session refers to it
        if self._single:
            await self._end_tagged(ctx, user.id, tag)
        ctx.session.add(row)
        await ctx.session.flush()
        new_device = await self._devices.remember(ctx, user.id)
        await tell(ctx, SignedIn(user_id=user.id, session_id=session_id, method=method, aal=aal, new_device=new_device))
        return row, key

    async def account(self, ctx: Context, session_id: UUID) -> Account | None:
        """Read a session with its account, identities and second factors, in one statement."""
        if self._account is None:
            self._account = _account(factor_list(ctx.kit.database.dialect))
        rows = (await ctx.session.execute(self._account, {"session_id": session_id})).all()
        if not rows:
            return None
        factors = await read_factors(ctx, rows[0][3])
        return Account(rows[0][1], rows[0][0], [row[2] for row in rows if row[2] is not None], factors)

    async def live(self, ctx: Context, actor: Actor) -> Account:
        """Read the account of a signed-in actor.

        Raises:
            UserNotFound: it is gone.
            SessionNotFound: their session has ended.
            Banned: they may not do anything now.

        """
        account = await self.account(ctx, session_of(actor))
        if account is None or account.user.id != actor.id:
            known = select(UserRow.id).where(UserRow.id == actor.id, UserRow.deleted_at.is_(None))
            raise UserNotFound if await ctx.session.scalar(known) is None else SessionNotFound
        if account.user.banned_until is not None and account.user.banned_until > ctx.now():
            raise Banned
        return account

    async def end(
        self,
        ctx: Context,
        user_id: UUID,
        reason: EndReason,
        *,
        only: UUID | None = None,
        except_: UUID | None = None,
        aal: int | None = None,
    ) -> Sequence[UUID]:
        """End the sessions of a user (of one `aal`), in one transaction with the revocation and the event of each."""
        statement = delete(SessionRow).where(SessionRow.user_id == user_id)
        if only is not None:
            statement = statement.where(SessionRow.id == only)
        if except_ is not None:
            statement = statement.where(SessionRow.id != except_)
        if aal is not None:
            statement = statement.where(SessionRow.aal == aal)
        returning = statement.returning(SessionRow.id).execution_options(synchronize_session=False)
        ended = (await ctx.session.scalars(returning)).all()
        self._revocations.record(ctx, ended)
        for session_id in ended:
            await tell(ctx, SessionEnded(user_id=user_id, session_id=session_id, reason=reason))
        return ended

    async def _end_tagged(self, ctx: Context, user_id: UUID, tag: str | None) -> None:
        """End what a new session replaces; the account is locked, so that of two at once one stays."""
        await ctx.session.execute(select(UserRow.id).where(UserRow.id == user_id).with_for_update())
        same = SessionRow.tag.is_(None) if tag is None else SessionRow.tag == tag
        replaced = select(SessionRow.id).where(SessionRow.user_id == user_id, same)
        for session_id in (await ctx.session.scalars(replaced)).all():
            await self.end(ctx, user_id, "others", only=session_id)

    async def infos(self, ctx: Context, user_id: UUID) -> list[SessionInfo]:
        """List the live sessions of a user, newest first."""
        newest = select(SessionRow).where(SessionRow.user_id == user_id).order_by(SessionRow.id.desc())
        return [
            SessionInfo(
                id=row.id, user_id=row.user_id, aal=row.aal, created_at=row.created_at, refreshed_at=row.refreshed_at
            )
            for row in await ctx.session.scalars(newest)
        ]


def _account(factors: ColumnElement[str | None]) -> Select[SessionRow, UserRow, IdentityRow, str | None]:
    return (
        select(SessionRow, UserRow, IdentityRow, factors)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .outerjoin(IdentityRow, IdentityRow.user_id == UserRow.id)
        .where(SessionRow.id == bindparam("session_id", type_=Id()), UserRow.deleted_at.is_(None))
        .order_by(IdentityRow.created_at)
    )
