"""What happened to all accounts, for administrators: the core's audit log in the protocol's form."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery
from corekit_auth.errors import ValidationFailed
from corekit_auth.listing import number
from corekit_auth.models import UserRow
from corekit_auth.telling import PREFIX

_PER_PAGE, _PER_PAGE_MAX, _PAGE_MAX = 50, 200, 100_000
_QUERY_MAX = 255
_NOBODY = UUID(int=0)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "login": "account",
        "login_failed": "account",
        "login_throttled": "account",
        "logout": "account",
        "invite_accepted": "account",
        "user_signedup": "team",
        "user_invited": "team",
        "user_deleted": "team",
        "token_revoked": "token",
        "refresh_reuse": "token",
        "key_rotated": "key",
        "factor_in_progress": "factor",
        "factor_unenrolled": "factor",
        "factor_updated": "factor",
    }
)  # everything else is about a user


class AuditItem(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: `payload` says what was done, who did it (`actor_id`), and under `traits` to whom and how."""

    id: UUID
    payload: dict[str, Any]
    created_at: datetime
    ip_address: str


class AuditPage(msgspec.Struct, frozen=True):
    """One page, and how many entries there are on all pages."""

    entries: list[AuditItem]
    page: int
    per_page: int
    total: int


async def page_of_audit(ctx: Context, given: Mapping[str, str]) -> AuditPage:
    """Read a page, the newest first; `query` is `author:`, `action:` or `type:` and what it is to be.

    Raises:
        ValidationFailed: naming the field and what is allowed.

    """
    page = number(given, "page", 1, _PAGE_MAX)
    per_page = number(given, "per_page", _PER_PAGE, _PER_PAGE_MAX)
    query = await _wanted(ctx, given.get("query", "").strip())
    query = msgspec.structs.replace(query, limit=per_page, offset=(page - 1) * per_page)
    audit = ctx.get(Audit)
    total = await audit.count(ctx, query)
    found = (await audit.find(ctx, query)).items
    names = await _names(ctx, [entry.actor for entry in found if entry.actor])
    return AuditPage([_item(entry, names) for entry in found], page, per_page, total)


async def _wanted(ctx: Context, text: str) -> AuditQuery:
    everything = AuditQuery(action=PREFIX)
    field, _, value = text.partition(":")
    if not text:
        return everything
    if field == "action" and 0 < len(value) <= _QUERY_MAX:
        return AuditQuery(action=f"{PREFIX}{value.rstrip('.')}")
    if field == "type" and value in {"account", "team", "token", "factor", "key"}:
        return msgspec.structs.replace(
            everything, actions=[f"{PREFIX}{action}" for action, kind in _TYPES.items() if kind == value]
        )
    if field == "author" and 0 < len(value) <= _QUERY_MAX:
        return msgspec.structs.replace(everything, actor=await _author(ctx, value.lower()))
    raise ValidationFailed("query: author:, action: or type: (account, team, token, factor, key), and a value")


async def _author(ctx: Context, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        found: UUID | None = await ctx.session.scalar(select(UserRow.id).where(UserRow.email == text))
        return found or _NOBODY


async def _names(ctx: Context, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Look up the addresses of today: the log itself has none."""
    rows = await ctx.session.execute(select(UserRow.id, UserRow.email).where(UserRow.id.in_(set(ids))))
    return {row.id: row.email or "" for row in rows}


def _item(entry: AuditEntry, names: Mapping[UUID, str]) -> AuditItem:
    action = entry.action.removeprefix(PREFIX)
    traits = dict(entry.details)
    if entry.target is not None:
        traits[f"{entry.target.kind}_id"] = str(entry.target.id)
    payload = {
        "action": action,
        "actor_id": str(entry.actor or _NOBODY),
        "actor_username": names.get(entry.actor, "") if entry.actor else "",
        "actor_via_sso": False,
        "log_type": _TYPES.get(action, "user"),
        "timestamp": entry.created_at,
        "traits": traits,
    }
    return AuditItem(id=entry.id, payload=payload, created_at=entry.created_at, ip_address=entry.address)
