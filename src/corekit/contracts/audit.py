"""Audit: who did what to what, written in the transaction that does it, and never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from corekit.context import Context, Kind
from corekit.values.pages import Page

READ = "audit:read"


class Target(msgspec.Struct, frozen=True):
    """What was acted on: its kind, as in `user` or `payment`, and its id."""

    kind: str
    id: UUID | str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the log.

    `actor` is the person or service who acted, also where a system purpose worked for them; `kind` and `purpose` say
    through what. `on_behalf_of` is whom an actor stood in for. `address` and `user_agent` are personal data.
    """

    id: UUID
    created_at: datetime
    tenant: UUID | None
    actor: UUID | None
    kind: Kind
    purpose: str
    on_behalf_of: UUID | None
    action: str
    target: Target | None
    details: dict[str, Any]
    request_id: str
    address: str
    user_agent: str


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; what is not given does not restrict.

    `action` is a whole one, or with a dot at its end the beginning of many (`payments.`). `since` is included, `until`
    is not. A `target` without an id means all of its kind. `actions` are whole ones, of which any will do. `offset`
    leaves the newest out: for lists with page numbers; a cursor is better for everything else.
    """

    actor: UUID | None = None
    action: str = ""
    actions: Sequence[str] = ()
    target: Target | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None
    offset: int = 0


class Audit(Protocol):
    """Keeps the audit log. The core provides one; a plugin that provides it replaces the core's."""

    async def record(
        self,
        ctx: Context,
        action: str,
        *,
        target: Target | None = None,
        details: Mapping[str, Any] | None = None,
        actor: UUID | None = None,
    ) -> None:
        """Write one entry in this transaction: it exists exactly when what was done does.

        `action` is dotted lower case of at most 64 characters (`payments.refund.created`). `details` is JSON of at most
        4 KiB: ids and reasons, no personal data. Who, from where and in which request is taken from the context;
        `actor` names the person where a system purpose does not know them yet, as at a sign-in.

        Raises:
            Invalid: the action, target or details do not fit; `pointer` says which.
            Forbidden: `actor` is somebody else than who acts, outside a system purpose.
            ReadonlyContext: nothing can be written here.

        """
        ...

    async def find(self, ctx: Context, query: AuditQuery) -> Page[AuditEntry]:
        """List entries, the newest first: one's own, with `audit:read` the whole tenant's, in a system purpose all.

        Raises:
            Invalid: the limit is not 1 to 200, a time has no zone, or the cursor is not of this list.

        """
        ...

    async def count(self, ctx: Context, query: AuditQuery) -> int:
        """Count the entries that `find` would list on all of its pages."""
        ...
