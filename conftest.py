"""Fixtures that every test shares: a database of its own, on each engine."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url

from corekit import Corekit, Plugin
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, NatsServer, PostgresServer, ValkeyServer, free_port

sys.path.insert(0, str(Path(__file__).parent / "tests"))  # where the helpers of several folders are
OPENID = Path(__file__).parent / "plugins/auth/tests/social/openid"
Plugins = tuple[type[Plugin[Any]], ...]
# A machine with other things to do is slow, and nothing is wrong with it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
DATABASES = os.environ.get("COREKIT_TEST_DATABASES", "sqlite,postgresql").split(",")


class Hasty(PostgresServer):
    """A machine that loses its power loses the test too."""

    options = ("-c", "fsync=off")


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    """Put the level of the root logger back, which an application's own configuration of logging changes for good."""
    root = logging.getLogger()
    before = root.level
    yield
    root.setLevel(before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one PostgreSQL server per test process."""
    with Hasty.started() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """Run one Valkey server per test process; its tests share its keys and channels."""
    with ValkeyServer.started() as server:
        yield server.url


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """Run one NATS server per test process; its tests share its subjects."""
    with NatsServer.started() as server:
        yield server.url


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[Callable[[str], str]]:
    """Give a function that runs npm's `oidc-provider` for a redirect URI, and returns its issuer."""
    with ExitStack() as stack:
        yield lambda redirect: stack.enter_context(_openid_provider(redirect))


@contextmanager
def _openid_provider(redirect: str) -> Iterator[str]:
    if not (OPENID / "node_modules").is_dir():
        install = ["npm", "ci", "--ignore-scripts", "--silent"]
        subprocess.run(install, cwd=OPENID, check=True, timeout=300)  # noqa: S603  # a command of our own
    port = str(free_port())
    command = ["node", "provider.mjs", port, redirect]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=OPENID, text=True, **pipes) as process:  # noqa: S603  # a command of our own
        try:
            assert process.stdout is not None
            while "listening" not in (line := process.stdout.readline()):
                assert line, "the provider ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Make an empty PostgreSQL database, for what only that one does."""
    if "postgresql" not in DATABASES:
        pytest.skip("COREKIT_TEST_DATABASES leaves PostgreSQL out")
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def migrated() -> Plugins | None:
    """Name the plugins whose schema a new database has already, beside the core's; None leaves it empty."""
    return ()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Plugins], Path]:
    """Give an SQLite file with the schema of some plugins, of which tests get copies: each needs not be migrated."""
    made: dict[Plugins, Path] = {}

    def make(plugins: Plugins) -> Path:
        if plugins not in made:
            folder = tmp_path_factory.mktemp("migrated")
            asyncio.run(_migrate(plugins, DatabaseSettings(url=f"sqlite:///{folder / 'test.db'}"), folder))
            made[plugins] = folder / "test.db"
        return made[plugins]

    return make


@pytest.fixture(scope="session")
def migrated_database(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Plugins], str]]:
    """Give the name of a PostgreSQL database with the schema of some plugins, of which tests get copies."""
    made: dict[Plugins, str] = {}
    with ExitStack() as stack:

        def make(plugins: Plugins) -> str:
            if plugins not in made:
                url = stack.enter_context(postgres.database())
                settings = asyncio.run(postgres.settings(url))
                asyncio.run(_migrate(plugins, settings, tmp_path_factory.mktemp("migrated")))
                made[plugins] = str(make_url(url).database)
            return made[plugins]

        yield make


async def _migrate(plugins: Plugins, database: DatabaseSettings, folder: Path) -> None:
    kit = Corekit([plugin() for plugin in plugins], database=database, data_dir=folder)
    kit.load_keyring()
    async with kit.database:
        await kit.schema.up()


@pytest.fixture
def sqlite_url(migrated_file: Callable[[Plugins], Path], migrated: Plugins | None, tmp_path: Path) -> str:
    """Make an SQLite file with the schema that `migrated` names, for what does not depend on the database."""
    if migrated is not None:
        shutil.copy(migrated_file(migrated), tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, migrated: Plugins | None) -> Iterator[str]:
    """Make a database with the schema that `migrated` names, once per engine."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    elif migrated is None:
        yield request.getfixturevalue("postgres_url")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database(request.getfixturevalue("migrated_database")(migrated)) as url:
            yield url


@pytest.fixture
def database(database_url: str, request: pytest.FixtureRequest) -> DatabaseSettings:
    """Say how a kit reaches the empty database, once per engine; on PostgreSQL each part of it has its own role."""
    if database_url.startswith("sqlite"):
        return DatabaseSettings(url=database_url)
    server: PostgresServer = request.getfixturevalue("postgres")
    return asyncio.run(server.settings(database_url))


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()
