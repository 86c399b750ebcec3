"""Where a database stands, compared with this code, and what follows from it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from corekit.data.installed import recorded
from corekit.data.revisions import CORE, VERSION_TABLE, Revisions


@dataclass(frozen=True)
class Unknown:
    """A revision in the database that this code does not have; `installed` is whether it has others of its branch."""

    revision: str
    plugin: str
    version: str
    phase: str
    installed: bool


@dataclass(frozen=True)
class Status:
    """Per branch of this kit (current, head), per plugin that is not enabled where it is, and what nobody knows."""

    branches: Mapping[str, tuple[str | None, str]]
    disabled: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[Unknown, ...] = ()

    @property
    def pending(self) -> tuple[str, ...]:
        """Name the heads that the database has not reached."""
        return tuple(head for current, head in self.branches.values() if current != head)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Name the revisions that this code does not have."""
        return tuple(stranger.revision for stranger in self.strangers)

    def refusal(self, *, strict: bool) -> str:
        """Say what is wrong with the unknown revisions and what cures it; "" if this code can work with them.

        It can where each is marked `expand`. `strict` is for whoever wants to change the schema: none may be there.
        """
        found: dict[str, list[Unknown]] = {}
        for stranger in self.strangers:
            if strict or stranger.phase != "expand":
                found.setdefault(stranger.plugin, []).append(stranger)
        return "; ".join(_cure(plugin, strangers) for plugin, strangers in found.items())


def heads_of(connection: Connection) -> set[str]:
    """Read the version table."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return set(context.get_current_heads())


def look(
    connection: Connection, known: Revisions, folders: Mapping[str, Path], elsewhere: Callable[[str], Path | None]
) -> tuple[Revisions, Status]:
    """Read where the database stands; revisions of plugins that are installed, but not enabled, join the known ones."""
    current, records = heads_of(connection), recorded(connection)
    enabled = {CORE, *folders}
    if current - known.scripts.keys():
        names = {*records, *(known.branch(revision) for revision in current)} - enabled
        if more := {name: folder for name in sorted(names) if (folder := elsewhere(name))}:
            known = Revisions({**folders, **more})
    strangers = _strangers(known, current, records)
    # The version table has only the leaves: below one that is not known, the record is all there is.
    applied = known.applied(current) | (_all(records) & known.scripts.keys() if strangers else set())
    lines = {name: [revision for revision in known.line(name) if revision in applied] for name in known.heads}
    return known, Status(
        {name: (line[-1] if line else None, known.heads[name]) for name, line in lines.items() if name in enabled},
        {name: line[-1] for name, line in lines.items() if line and name not in enabled},
        strangers,
    )


def _strangers(known: Revisions, current: set[str], records: Mapping[str, Mapping[str, Any]]) -> tuple[Unknown, ...]:
    if not current - known.scripts.keys():
        return ()
    owners = {revision: record for record in records.values() for revision in record["revisions"]}
    found = []
    for revision in sorted((current | owners.keys()) - known.scripts.keys()):
        owner = owners.get(revision) or {"name": known.branch(revision), "version": "", "revisions": {}}
        plugin, phase = owner["name"], owner["revisions"].get(revision, "")
        found.append(Unknown(revision, plugin, owner["version"], phase, plugin in known.heads))
    return tuple(found)


def _all(records: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {revision for record in records.values() for revision in record["revisions"]}


def _cure(plugin: str, strangers: Iterable[Unknown]) -> str:
    revisions = ", ".join(stranger.revision for stranger in strangers)
    first = next(iter(strangers))
    version = f"{plugin} {first.version}".strip()
    what = f"the database has revisions that this code does not know: {revisions}"
    if first.installed:
        return f"{what}; it is newer than the code: install {version}, which made it, or a later one"
    return (
        f"{what}; they are of the plugin {version}, which is not installed: install it again, or, to be rid of "
        f"its tables, install it, run `corekit migrate remove {plugin}` and uninstall it"
    )
