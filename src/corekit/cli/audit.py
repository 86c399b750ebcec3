"""`corekit audit list`: who did what; and how commands record what an operator does."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec

from corekit.cli.options import configuration, load, run
from corekit.context import Context
from corekit.contracts.audit import AuditEntry, AuditQuery, Target
from corekit.errors import Invalid
from corekit.guard import AUDIT_PURPOSE, SqlAudit
from corekit.kit import Corekit
from corekit.values import parse_id

_PAGE = 200


class Moment(click.ParamType[datetime]):
    """A day or a time of RFC 3339; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it as 2030-01-31 or 2030-01-31T12:00:00Z", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


class Person(click.ParamType[UUID]):
    """An id of a person or service: `usr_…` or a UUID."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Read it."""
        try:
            return parse_id("usr", value)
        except Invalid as error:
            self.fail(error.detail, param, ctx)


@click.group()
def audit() -> None:
    """Look at the audit log: who did what to what."""


@audit.command("list")
@click.option("--actor", type=Person(), help="By this person or service: usr_… or a UUID.")
@click.option("--action", default="", metavar="NAME", help="This action; with a dot at the end, all that begin so.")
@click.option("--target", metavar="KIND[:ID]", help="On this thing, or on all of this kind: `user:…`, `job`.")
@click.option("--since", type=Moment(), help="From this day or time on (UTC unless it says otherwise).")
@click.option("--until", type=Moment(), help="Before this day or time.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@configuration
def list_(
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
    *,
    target: str | None,
    limit: int,
    **filters: Any,
) -> None:
    """List entries, the newest first: time, action, who, target, address, details."""
    kind, _, id_ = (target or "").partition(":")
    query = AuditQuery(target=Target(kind, id_) if target else None, **filters)
    found = run(_read(Corekit.load(load(path, env, database, data_dir)), query, limit))
    for entry in found[:limit]:
        click.echo(_line(entry))
    if len(found) > limit:
        click.echo(f"# the newest {limit}; more with --limit", err=True)


async def record(ctx: Context, action: str, details: Mapping[str, Any], target: Target | None = None) -> None:
    """Write down what an operator does, in the transaction that does it."""
    await SqlAudit().record(ctx, action, target=target, details={"via": "command line", **details})


async def _read(kit: Corekit, query: AuditQuery, limit: int) -> list[AuditEntry]:
    """Read one more than wanted, to know whether there is more."""
    found: list[AuditEntry] = []
    async with kit.database:
        await kit.schema.demand_current()
        async with kit.caller().system(AUDIT_PURPOSE).begin(readonly=True) as ctx:
            while len(found) <= limit:
                wanted = msgspec.structs.replace(query, limit=min(limit + 1 - len(found), _PAGE))
                page = await SqlAudit().find(ctx, wanted)
                found += page.items
                if page.next is None:
                    break
                query = msgspec.structs.replace(query, cursor=page.next)
    return found


def _line(entry: AuditEntry) -> str:
    who = f"{entry.kind}:{entry.purpose}" if entry.purpose else entry.kind
    person = f" {entry.actor}" if entry.actor else ""
    behalf = f" for {entry.on_behalf_of}" if entry.on_behalf_of else ""
    target = f"{entry.target.kind}:{entry.target.id}" if entry.target else "-"
    details = msgspec.json.encode(entry.details).decode()
    when = f"{entry.created_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{when}  {entry.action:<24}  {who}{person}{behalf}  {target}  {entry.address or '-'}  {details}"
