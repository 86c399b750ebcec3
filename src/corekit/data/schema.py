"""Migrations: one Alembic environment, one branch per plugin, under one lock."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection

from corekit.data import people  # noqa: F401  # its table belongs to the metadata
from corekit.data.drift import drift
from corekit.data.emission import differences, emit, let_read, unpolice
from corekit.data.engines import Database
from corekit.data.installed import record
from corekit.data.lint import lint
from corekit.data.migrating import alone, transaction
from corekit.data.revisions import CORE, VERSION_TABLE, Revisions
from corekit.data.roles import faults, roles_of
from corekit.data.status import Status, heads_of, look
from corekit.errors import SchemaError
from corekit.watch.logs import get_logger

__all__ = ["CORE", "VERSION_TABLE", "Schema", "Status"]

R = TypeVar("R")


class Schema:
    """The schema of one database, made of the branches of the core and of the given plugins.

    `versions` tells the versions of all that is installed, `elsewhere` finds the branch of a plugin that is installed
    but not one of the given ones.
    """

    def __init__(
        self,
        database: Database,
        folders: Mapping[str, Path],
        *,
        versions: Callable[[], Mapping[str, str]] = dict,
        elsewhere: Callable[[str], Path | None] = lambda _: None,
    ) -> None:
        self._database = database
        self._folders = folders
        self._versions = versions
        self._elsewhere = elsewhere

    @cached_property
    def revisions(self) -> Revisions:
        """The revisions of the core and of the given plugins."""
        return Revisions(self._folders)

    @cached_property
    def _installed(self) -> Mapping[str, str]:
        return self._versions()  # reads the metadata of everything that is installed

    async def status(self) -> Status:
        """Read where the database stands."""
        return await self._read(lambda connection: self._look(connection)[1])

    async def demand_current(self) -> None:
        """Refuse a database that is behind this code, or ahead of it by more than expanding revisions.

        Raises:
            SchemaError: naming the revisions and the cure.

        """
        _demand_current(await self.status())

    async def up(self, target: str | None = None) -> Status:
        """Apply what is pending of every branch, or of one up to `target`, while nobody else migrates.

        Raises:
            SchemaError: the database has revisions that this code does not know; nothing was changed. If nothing is
                pending and it can work with them, there is nothing to do.

        """

        def apply(connection: Connection) -> Status:
            revisions, status = self._begin(connection)
            if status.strangers:
                if status.pending or status.refusal(strict=False):
                    raise SchemaError(status.refusal(strict=True))
                return status
            for head in [target] if target else status.pending:
                self._alembic(connection, revisions, revisions.directory._upgrade_revs, head)  # noqa: SLF001
            with transaction(connection):
                for step in self._after_up():
                    step(connection, revisions)
            return self._begin(connection)[1]

        return await self._alone(apply)

    async def down(self, target: str, *, dependants: bool = False) -> Status:
        """Take one branch back: `chat_0001`, what came after it is undone; `chat@base`, everything.

        Raises:
            SchemaError: other branches stand on what would be undone, and `dependants` does not say to undo them too.

        """

        def apply(connection: Connection) -> Status:
            revisions, status = self._begin(connection)
            if status.strangers:
                raise SchemaError(status.refusal(strict=True))
            if not dependants:
                _demand_no_dependants(revisions, status, target)
            try:
                if connection.dialect.name == "postgresql":
                    with transaction(connection):  # policies hold on to the tables that they read
                        unpolice(connection, "" if dependants else f"{_branch(revisions, target)}_")
                self._alembic(connection, revisions, revisions.directory._downgrade_revs, target)  # noqa: SLF001
            finally:
                with transaction(connection):
                    self._police(connection, revisions)
            return self._begin(connection)[1]

        return await self._alone(apply)

    async def check(self) -> list[str]:
        """Say what is wrong with the revisions, and where the database differs from the models.

        Raises:
            SchemaError: revisions are pending or unknown.

        """

        def compare(connection: Connection) -> list[str]:
            revisions, status = self._look(connection)
            _demand_current(status)
            return drift(connection, status.branches, {*revisions.heads, *status.disabled})

        return [*lint(self.revisions), *await self._read(compare)]

    def _after_up(self) -> Iterable[Callable[[Connection, Revisions], None]]:
        """List what belongs to every `up` after the revisions: in this order, on their connection, in one transaction.

        SQLite rebuilds a table to change it, and its triggers are gone then; a step makes again what must be there.
        Tests stop between revisions: a step leaves out what is not there yet.
        """
        return (self._record, self._police)

    def _police(self, connection: Connection, _: Revisions) -> None:
        """Emit the policies into PostgreSQL; on SQLite each connection makes its own."""
        if connection.dialect.name == "postgresql":
            roles = roles_of(connection, self._database.settings)
            emit(connection, self._database.policies, roles, [f"{name}_" for name in self._folders])

    async def demand_policed(self, *, dev: bool) -> None:
        """Refuse a database whose policies would not bind the application; in development, say so.

        Raises:
            SchemaError: naming the faults and the cure.

        """

        def look_(connection: Connection) -> list[str]:
            roles, policies = roles_of(connection, self._database.settings), self._database.policies
            found = list(faults(connection, roles, policies))
            return found or [f"{name} is not policed as declared" for name in differences(connection, policies, roles)]

        if self._database.dialect == "postgresql" and (found := await self._read(look_)):
            if not dev:
                raise SchemaError(f"{'; '.join(found)}: see `corekit migrate roles`, then run `corekit migrate up`")
            get_logger("corekit.data").warning("policies_not_enforced", faults=found)

    def _record(self, connection: Connection, revisions: Revisions, heads: Iterable[str] | None = None) -> None:
        current = heads_of(connection) if heads is None else heads
        record(connection, revisions, current, self._installed)
        if (
            connection.dialect.name == "postgresql"
        ):  # whatever the next revision comes to, the start must see where it is
            let_read(connection, roles_of(connection, self._database.settings))

    def _look(self, connection: Connection) -> tuple[Revisions, Status]:
        return look(connection, self.revisions, self._folders, self._elsewhere)

    def _begin(self, connection: Connection) -> tuple[Revisions, Status]:
        with transaction(connection):
            return self._look(connection)

    def _alembic(self, connection: Connection, revisions: Revisions, steps: Callable[..., Any], target: str) -> None:
        """Run the steps to a target, as Alembic's own commands do, but with the revisions that are loaded already."""
        applied = partial(self._record, connection, revisions)  # in the transaction of the revision
        revisions.config.attributes.update(connection=connection, applied=applied)

        def way(current: Any, _: Any) -> Any:
            return steps(target, current)

        with EnvironmentContext(revisions.config, revisions.directory, fn=way, destination_rev=target):
            revisions.directory.run_env()
        if connection.dialect.name == "postgresql":
            connection.rollback()  # each revision has committed; this ends the reads after the last

    async def _alone(self, function: Callable[[Connection], R]) -> R:
        async with alone(self._database) as connection:
            return await connection.run_sync(function)

    async def _read(self, function: Callable[[Connection], R]) -> R:
        work = self._database.work("service", readonly=True)
        try:
            return await (await work.session.connection()).run_sync(function)
        finally:
            await work.close()


def _demand_current(status: Status) -> None:
    if refusal := status.refusal(strict=bool(status.pending)):
        raise SchemaError(refusal)
    if status.pending:
        raise SchemaError(f"pending migrations: {', '.join(status.pending)}; run `corekit migrate up` first")


def _branch(revisions: Revisions, target: str) -> str:
    return target.removesuffix("@base") if target.endswith("@base") else revisions.branch(target)


def _demand_no_dependants(revisions: Revisions, status: Status, target: str) -> None:
    branch = _branch(revisions, target)
    current = {name: now for name, (now, _) in status.branches.items() if now} | dict(status.disabled)
    applied = revisions.applied(current.values())
    line = revisions.line(branch)
    whole = target.endswith("@base")
    if not whole and target not in line:
        raise SchemaError(f"this code has no revision {target}")
    leaving = line if whole else line[line.index(target) + 1 :]
    if others := revisions.dependants(set(leaving) & applied, applied):
        cures = ", ".join(f"`corekit migrate remove {other}`" for other in others)
        raise SchemaError(f"{', '.join(others)} would lose what they stand on with {branch}; first run {cures}")
