"""Migrations: one Alembic environment, one branch per plugin, under one lock."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from corekit.data import installed, people  # noqa: F401  # their tables belong to the metadata
from corekit.data.engines import Database
from corekit.errors import SchemaError

R = TypeVar("R")
VERSION_TABLE = "corekit_alembic"
_HERE = Path(__file__).parent / "migrations"
_LOCK = 0x636F72656B6974  # "corekit": the advisory lock around a run
_ONE_AT_A_TIME = Lock()  # Alembic keeps the run that is going on in variables of its modules, so this is one too


@dataclass(frozen=True)
class Status:
    """Where a database stands: per branch (current, head); revisions that this code does not know."""

    branches: Mapping[str, tuple[str | None, str]]
    unknown: tuple[str, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """Name the heads that the database has not reached."""
        return tuple(head for current, head in self.branches.values() if current != head)


class Schema:
    """The schema of one database, made of the branches of the core and of the given plugins."""

    def __init__(self, database: Database, folders: Mapping[str, Path]) -> None:
        self._database = database
        self._config = AlembicConfig()
        self._config.set_main_option("script_location", str(_HERE))
        self._config.set_main_option("path_separator", "newline")
        locations = [_HERE / "versions", *folders.values()]
        self._config.set_main_option(
            "version_locations", "\n".join(str(folder).replace("%", "%%") for folder in locations)
        )

    async def status(self) -> Status:
        """Read where the database stands."""
        return await self._run(self._status)

    async def up(self, target: str = "heads") -> Status:
        """Apply what is pending, in one run under a lock.

        Raises:
            SchemaError: the database has revisions that this code does not know.

        """

        def apply(connection: Connection) -> Status:
            self._refuse_unknown(self._status(connection))
            self._config.attributes["connection"] = connection
            command.upgrade(self._config, target)
            return self._status(connection)

        return await self._run(apply)

    async def down(self, target: str) -> Status:
        """Take a branch back, for example `chat@base`."""

        def apply(connection: Connection) -> Status:
            self._refuse_unknown(self._status(connection))
            self._config.attributes["connection"] = connection
            command.downgrade(self._config, target)
            return self._status(connection)

        return await self._run(apply)

    async def demand_current(self) -> None:
        """Refuse a database that is behind this code, or ahead of it.

        Raises:
            SchemaError: naming the revisions and the cure.

        """
        status = await self.status()
        self._refuse_unknown(status)
        if status.pending:
            raise SchemaError(f"pending migrations: {', '.join(status.pending)}; run `corekit migrate up` first")

    def _refuse_unknown(self, status: Status) -> None:
        if status.unknown:
            raise SchemaError(
                f"the database has revisions that this code does not know: {', '.join(status.unknown)}; it is newer "
                "than the code, or a plugin was uninstalled: install the newer version or that plugin again"
            )

    def _status(self, connection: Connection) -> Status:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        current = set(context.get_current_heads())
        scripts = ScriptDirectory.from_config(self._config)
        known = {script.revision for script in scripts.walk_revisions()}
        applied = {
            script.revision
            for revision in current & known
            for script in scripts.iterate_revisions(revision, "base", implicit_base=True)
        } | {revision for head in current & known for revision in _dependencies(scripts, head)}
        branches = {}
        for head in scripts.get_heads():
            label = next(iter(sorted(scripts.get_revision(head).branch_labels)), head)
            line = (
                script for script in scripts.iterate_revisions(head, "base") if label in (script.branch_labels or ())
            )
            branches[label] = (next((script.revision for script in line if script.revision in applied), None), head)
        return Status(branches, tuple(sorted(current - known)))

    async def _run(self, function: Callable[[Connection], R]) -> R:
        async with _alone(), self._database.migrating() as connection:
            if self._database.dialect == "postgresql":
                await connection.execute(text("SET LOCAL statement_timeout = 0"))
                await connection.execute(text("SET LOCAL lock_timeout = 0"))  # another process may migrate for long
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
                result = await connection.run_sync(function)
                await connection.commit()
                return result
            async with self._database.gate:  # BEGIN IMMEDIATE keeps other processes out as well
                result = await connection.run_sync(function)
                await connection.commit()
                return result


@asynccontextmanager
async def _alone() -> AsyncGenerator[None]:
    """Keep other kits of this process out, whichever loop they run in."""
    while not _ONE_AT_A_TIME.acquire(blocking=False):  # noqa: ASYNC110  # an asyncio lock belongs to one loop
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


def _dependencies(scripts: ScriptDirectory, revision: str) -> set[str]:
    """Follow `depends_on`: Alembic's version table shows only the leaf."""
    found: set[str] = set()
    stack: list[Any] = [scripts.get_revision(revision)]
    while stack:
        script = stack.pop()
        for name in (*(script._all_down_revisions or ()), *(script._resolved_dependencies or ())):  # noqa: SLF001
            if name not in found:
                found.add(name)
                stack.append(scripts.get_revision(name))
    return found
