"""The revisions that this code has: which branch each belongs to, and what it stands on."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from alembic.config import Config as AlembicConfig
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from corekit.errors import SchemaError

VERSION_TABLE = "corekit_alembic"
CORE = "core"
_HERE = Path(__file__).parent / "migrations"


class Revisions:
    """One Alembic graph of the core's branch and of those in the given folders, by plugin."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.config = AlembicConfig()
        self.config.set_main_option("script_location", str(_HERE))
        self.config.set_main_option("path_separator", "newline")
        locations = dict.fromkeys([_HERE / "versions", *folders.values()])
        self.config.set_main_option(
            "version_locations", "\n".join(str(folder).replace("%", "%%") for folder in locations)
        )
        self.directory = ScriptDirectory.from_config(self.config)
        try:
            self.scripts: Mapping[str, Script] = {one.revision: one for one in self.directory.walk_revisions()}
        except KeyError as error:
            raise SchemaError(
                f"a revision needs {error}, which no enabled plugin has; enable the one that does"
            ) from None
        except CommandError as error:
            raise SchemaError(str(error)) from error
        self._heads = self.directory.get_heads()

    @cached_property
    def heads(self) -> Mapping[str, str]:
        """The last revision of each branch.

        Raises:
            SchemaError: a branch forks.

        """
        found: dict[str, str] = {}
        for head in sorted(self._heads, key=lambda head: (self.branch(head) != CORE, head)):
            branch = self.branch(head)
            if other := found.get(branch):
                raise SchemaError(f"the branch {branch} forks into {other} and {head}; let one follow the other")
            found[branch] = head
        return found

    def branch(self, revision: str) -> str:
        """Name the branch of a revision, of one that nobody knows by its id."""
        script = self.scripts.get(revision)
        labels = sorted(script.branch_labels) if script else []
        return labels[0] if labels else revision.rpartition("_")[0] or revision

    def phase(self, revision: str) -> str:
        """Return how a revision is marked: "expand", "contract" or ""."""
        return str(getattr(self.scripts[revision].module, "phase", ""))

    def line(self, branch: str) -> list[str]:
        """List the revisions of a branch, the first one first."""
        return [revision for revision in self.in_order() if self.branch(revision) == branch]

    def in_order(self) -> list[str]:
        """List all revisions, each after everything that it stands on."""
        done: dict[str, None] = {}

        def visit(revision: str) -> None:
            if revision not in done:
                for below in self._below(revision):
                    visit(below)
                done[revision] = None

        for revision in sorted(self.scripts):
            visit(revision)
        return list(done)

    def applied(self, current: Iterable[str]) -> set[str]:
        """Return everything that a database with these entries in its version table has; they are only the leaves."""
        found: set[str] = set()
        stack = [revision for revision in current if revision in self.scripts]
        while stack:
            revision = stack.pop()
            if revision not in found:
                found.add(revision)
                stack += self._below(revision)
        return found

    def dependants(self, leaving: Iterable[str], applied: Iterable[str]) -> list[str]:
        """Name the branches that would lose their ground if these revisions were undone, the outermost first."""
        gone, found = set(leaving), dict[str, None]()
        for revision in self.in_order():
            if revision in applied and revision not in gone and gone.intersection(self._below(revision)):
                gone.add(revision)
                found[self.branch(revision)] = None
        return list(reversed(found))

    def _below(self, revision: str) -> tuple[str, ...]:
        return tuple(self.scripts[revision]._all_down_revisions)  # noqa: SLF001  # with what `depends_on` names
