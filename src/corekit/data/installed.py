"""What the database knows of the code that made it: the plugins and their policies."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, inspect, select
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data.base import Base
from corekit.data.policy import Policy
from corekit.data.revisions import Revisions


class PluginRow(Base):
    """A plugin whose branch was applied (or `core`): the version that did it, and where the branch stood then.

    `revisions` maps each applied revision to its mark ("expand", "contract" or ""), for code that does not have them.
    """

    __tablename__ = "corekit_plugin"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    head: Mapped[str]
    revisions: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


Policy.closed(PluginRow, "Migrations write it and the start reads it.")


class PolicyRow(Base):
    """A table's policy, or a predicate function, as it was emitted into PostgreSQL last: a hash of its text."""

    __tablename__ = "corekit_policy"

    name: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str]
    updated_at: Mapped[datetime]


Policy.closed(PolicyRow, "Migrations write it and the start reads it.")


def recorded(connection: Connection) -> dict[str, dict[str, Any]]:
    """Read what is installed: by plugin its version, head and revisions."""
    if not inspect(connection).has_table(PluginRow.__tablename__):
        return {}
    query = select(PluginRow.name, PluginRow.version, PluginRow.head, PluginRow.revisions)
    return {row["name"]: dict(row) for row in connection.execute(query).mappings()}


def record(connection: Connection, revisions: Revisions, current: Iterable[str], versions: Mapping[str, str]) -> None:
    """Write down what is installed after a revision came or went; the table itself comes with the core's second."""
    if not inspect(connection).has_table(PluginRow.__tablename__):
        return
    applied, before = revisions.applied(current), recorded(connection)
    for name in revisions.heads:
        line = [revision for revision in revisions.line(name) if revision in applied]
        now: dict[str, Any] | None = None
        if line:
            marks = {revision: revisions.phase(revision) for revision in line}
            now = {"name": name, "version": versions.get(name, ""), "head": line[-1], "revisions": marks}
        if now != before.get(name):
            connection.execute(delete(PluginRow).where(PluginRow.name == name))
            if now:
                connection.execute(insert(PluginRow).values(**now, updated_at=datetime.now(UTC)))
