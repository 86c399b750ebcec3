"""Fixtures that every test shares: a database of its own, on each engine."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, NatsServer, PostgresServer, ValkeyServer, free_port

OPENID = Path(__file__).parent / "plugins/auth/tests/social/openid"
DATABASES = os.environ.get("COREKIT_TEST_DATABASES", "sqlite,postgresql").split(",")


class Hasty(PostgresServer):
    """A machine that loses its power loses the test too."""

    options = ("-c", "fsync=off")


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


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Make an empty database, once per engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    yield request.getfixturevalue("postgres_url")


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
