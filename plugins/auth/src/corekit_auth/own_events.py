"""What happened to one's own account, read from the audit log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from corekit.context import Context
from corekit.contracts.audit import Audit, AuditQuery, Target
from corekit.errors import Invalid
from corekit_auth.errors import ValidationFailed
from corekit_auth.parts import Parts
from corekit_auth.telling import PREFIX

_LIMIT, _LIMIT_MAX = 50, 200
_CURSOR_MAX = 512


class EventItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: `action` as Supabase Auth names it, and from where it was done."""

    id: UUID
    created_at: datetime
    action: str
    details: dict[str, Any]
    ip: str
    user_agent: str


class EventPage(msgspec.Struct, frozen=True):
    """A page, newest first; `next` is the `cursor` of the page after it, if there is one."""

    events: Sequence[EventItem]
    next: str | None


class OwnEvents:
    """Reads what who asks did to their own account, and what was tried in its name."""

    def __init__(self, parts: Parts) -> None:
        self._sessions = parts.sessions

    async def page(self, ctx: Context, given: Mapping[str, str]) -> EventPage:
        """Read a page: `limit` and `cursor` are texts of a query string.

        Raises:
            ValidationFailed: naming the field and what is allowed.

        """
        limit, cursor = _limit(given.get("limit", "")), given.get("cursor") or None
        me = (await self._sessions.live(ctx, ctx.actor)).user.id
        query = AuditQuery(actor=me, target=Target("user", me), action=PREFIX, limit=limit, cursor=cursor)
        if cursor is not None and len(cursor) > _CURSOR_MAX:
            raise ValidationFailed("cursor: not a cursor of this list")
        try:
            found = await ctx.get(Audit).find(ctx, query)
        except Invalid:
            raise ValidationFailed("cursor: not a cursor of this list") from None
        items = [
            EventItem(
                id=entry.id,
                created_at=entry.created_at,
                action=entry.action.removeprefix(PREFIX),
                details=entry.details,
                ip=entry.address,
                user_agent=entry.user_agent,
            )
            for entry in found.items
        ]
        return EventPage(items, found.next)


def _limit(text: str) -> int:
    if not text:
        return _LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LIMIT_MAX)) and 0 < int(text) <= _LIMIT_MAX):
        raise ValidationFailed(f"limit: must be a number from 1 to {_LIMIT_MAX}")
    return int(text)
