"""The core's audit log: one row per entry, in the transaction of what it tells."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, delete, func, select

from corekit.context import Caller, Context
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery, Target
from corekit.data.base import table_of
from corekit.data.pages import newest_cursor, older
from corekit.errors import Forbidden, Invalid
from corekit.guard.audit_rows import AuditRow
from corekit.jobs import schedule
from corekit.settings import Settings
from corekit.values import uuid7
from corekit.values.pages import Page

PURPOSE = "corekit.audit"
TABLE = table_of(AuditRow)
_ACTION = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ACTION_MAX, _KIND_MAX, _ID_MAX = 64, 64, 128  # characters
_REQUEST_MAX, _ADDRESS_MAX, _AGENT_MAX = 128, 64, 512  # what a client sent is cut, not refused
_DETAILS_MAX = 4096  # bytes of JSON
_PAGE_MAX = 200
_BATCH = 1_000


class AuditSettings(Settings, frozen=True):
    """`[audit]`: an entry is kept for `keep_days`, 0 for ever."""

    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 400


class SqlAudit(Audit):
    """The audit log in the kit's own database."""

    async def record(
        self,
        ctx: Context,
        action: str,
        *,
        target: Target | None = None,
        details: Mapping[str, Any] | None = None,
        actor: UUID | None = None,
    ) -> None:
        """Write one entry in this transaction."""
        ctx.demand_writing("record")
        if len(action) > _ACTION_MAX or not _ACTION.fullmatch(action):
            raise Invalid(f"at most {_ACTION_MAX} of a to z, 0 to 9, _ and -, with dots between", pointer="action")
        client, behalf = ctx.caller.client, ctx.on_behalf_of
        person = ctx.actor.kind in {"user", "service"}
        ctx.session.add(
            AuditRow(
                id=uuid7(),
                tenant=ctx.tenant,
                actor=_who(ctx, actor),
                kind=ctx.actor.kind,
                purpose=ctx.actor.name if ctx.actor.kind == "system" else "",
                on_behalf_of=behalf.id if person and behalf else None,
                action=action,
                target_kind=_checked("target.kind", target.kind, _KIND_MAX) if target else None,
                target_id=_checked("target.id", str(target.id), _ID_MAX) if target else None,
                details=_plain(details or {}),
                request_id=_cut(ctx.caller.request_id, _REQUEST_MAX),
                address=_cut(client.address, _ADDRESS_MAX),
                user_agent=_cut(client.user_agent, _AGENT_MAX),
                created_at=ctx.now(),
            )
        )

    async def find(self, ctx: Context, query: AuditQuery) -> Page[AuditEntry]:
        """List entries, the newest first; the policy of the table says whose."""
        if not 1 <= query.limit <= _PAGE_MAX:
            raise Invalid(f"from 1 to {_PAGE_MAX}", pointer="limit")
        if query.offset < 0:
            raise Invalid("0 or more", pointer="offset")
        await ctx.session.flush()  # what this transaction recorded
        rows = (await ctx.session.execute(_chosen(query))).all()
        items = [_entry(row) for row in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(items)
        return Page(items, newest_cursor(items[-1].created_at, items[-1].id))

    async def count(self, ctx: Context, query: AuditQuery) -> int:
        """Count them; the policy of the table says whose."""
        await ctx.session.flush()
        found = select(func.count()).select_from(TABLE).where(*_filters(query))
        return int(await ctx.session.scalar(found) or 0)


class AuditUpkeep:
    """Deletes entries whose time is over."""

    name: ClassVar[str] = "corekit"

    def __init__(self, settings: AuditSettings) -> None:
        self._keep_days = settings.keep_days

    @schedule("41 3 * * *", tag="corekit.prune_audit", purpose=PURPOSE, network=True, timeout=3600)
    async def prune_audit(self, caller: Caller) -> None:
        """Delete them in batches, each a short transaction: SQLite has one writer, and others wait for it."""
        if not self._keep_days:
            return
        before = caller.kit.clock.now() - timedelta(days=self._keep_days)
        old = select(TABLE.c.id).where(TABLE.c.created_at < before).order_by(TABLE.c.created_at).limit(_BATCH)
        gone = _BATCH
        while gone == _BATCH:
            async with caller.begin() as ctx:
                ended = await ctx.session.execute(delete(TABLE).where(TABLE.c.id.in_(old)).returning(TABLE.c.id))
                gone = len(ended.all())


def _who(ctx: Context, actor: UUID | None) -> UUID | None:
    """Name the person: whom an elevated context works for, or who acts."""
    person = ctx.actor.id if ctx.actor.kind in {"user", "service"} else None
    if ctx.actor.kind == "system":
        return actor or (ctx.on_behalf_of.id if ctx.on_behalf_of else None)
    if actor not in {None, person}:
        raise Forbidden("only a system purpose records in the name of somebody else")
    return person


def _checked(pointer: str, text: str, most: int) -> str:
    if not 0 < len(text) <= most or not text.isprintable():
        raise Invalid(f"from 1 to {most} printable characters", pointer=pointer)
    return text


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Bring details to what JSON can say, so that both databases keep the same."""
    try:
        encoded = msgspec.json.encode(details)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise Invalid(
            "details must be JSON: an object of texts, numbers, ids, times, lists", pointer="details"
        ) from None
    if len(encoded) > _DETAILS_MAX:
        raise Invalid(f"at most {_DETAILS_MAX} bytes of JSON, these are {len(encoded)}", pointer="details")
    if b"\\u0000" in encoded:  # PostgreSQL's JSON has no such character
        raise Invalid("no NUL characters", pointer="details")
    plain: dict[str, Any] = msgspec.json.decode(encoded)
    return plain


def _cut(text: str, most: int) -> str:
    return text.replace("\0", "")[:most]


def _chosen(query: AuditQuery) -> Select[Any]:
    wanted = _filters(query)
    if query.cursor is not None:
        wanted.append(older(TABLE.c.created_at, TABLE.c.id, query.cursor, pointer="cursor"))
    newest = (TABLE.c.created_at.desc(), TABLE.c.id.desc())
    return select(*TABLE.c).where(*wanted).order_by(*newest).limit(query.limit + 1).offset(query.offset)


def _filters(query: AuditQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.actor is not None:
        found.append(TABLE.c.actor == query.actor)
    if query.action:
        whole = not query.action.endswith(".")
        found.append(
            TABLE.c.action == query.action if whole else TABLE.c.action.startswith(query.action, autoescape=True)
        )
    if query.actions:
        found.append(TABLE.c.action.in_(list(query.actions)))
    if query.target is not None:
        found.append(TABLE.c.target_kind == query.target.kind)
        if query.target.id:
            found.append(TABLE.c.target_id == str(query.target.id))
    if query.since is not None:
        found.append(TABLE.c.created_at >= _zoned(query.since, "since"))
    if query.until is not None:
        found.append(TABLE.c.created_at < _zoned(query.until, "until"))
    return found


def _zoned(moment: datetime, pointer: str) -> datetime:
    if moment.tzinfo is None:
        raise Invalid("a time with its zone, as in 2030-01-01T00:00:00Z", pointer=pointer)
    return moment


def _entry(row: Any) -> AuditEntry:
    target = None if row.target_kind is None else Target(row.target_kind, row.target_id)
    names = (name for name in AuditEntry.__struct_fields__ if name != "target")
    return AuditEntry(target=target, **{name: getattr(row, name) for name in names})
