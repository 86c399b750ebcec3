"""The list of one's own sessions, and the end of one of them."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit_auth.errors import NoSuchSession
from corekit_auth.models import SessionRow
from corekit_auth.parts import Parts


class SessionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One of one's own sessions; `current` is the one that asks."""

    id: UUID
    created_at: datetime
    refreshed_at: datetime | None
    aal: int
    user_agent: str | None
    ip: str | None
    current: bool


class OwnSessions:
    """Reads and ends the sessions of who asks."""

    def __init__(self, parts: Parts) -> None:
        self._sessions = parts.sessions

    async def all(self, ctx: Context) -> list[SessionItem]:
        """List the live sessions of who asks, newest first."""
        account = await self._sessions.live(ctx, ctx.actor)
        mine = select(SessionRow).where(SessionRow.user_id == account.user.id).order_by(SessionRow.id.desc())
        return [
            SessionItem(
                id=row.id,
                created_at=row.created_at,
                refreshed_at=row.refreshed_at,
                aal=row.aal,
                user_agent=row.user_agent,
                ip=row.ip,
                current=row.id == account.session.id,
            )
            for row in await ctx.session.scalars(mine)
        ]

    async def end(self, ctx: Context, session_id: UUID) -> None:
        """End one of them, in an elevated context on behalf of who asks.

        Raises:
            NoSuchSession: it is none of theirs, or has ended.

        """
        account = await self._sessions.live(ctx, ctx.on_behalf_of or ctx.actor)
        if not await self._sessions.end(ctx, account.user.id, "logout", only=session_id):
            raise NoSuchSession
