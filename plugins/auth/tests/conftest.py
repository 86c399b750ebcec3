"""A kit with auth alone, and ways to reach it with and without HTTP."""

import io
import logging
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Executable, text

sys.path.insert(0, str(Path(__file__).parent))

from post_office import Post  # beside this file

from corekit import Caller, Client, Corekit
from corekit.data import DatabaseSettings
from corekit.data.migrating import alone
from corekit.testing import FakeClock, make_kit
from corekit.watch.logs import configure_logs
from corekit.web import create_app
from corekit_auth import AuthPlugin
from corekit_auth.objects import Grant
from corekit_auth.purposes import KEYS, SIGN_IN
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
DATABASES = os.environ.get("COREKIT_TEST_DATABASES", "sqlite,postgresql").split(",")


@pytest.fixture
def migrated() -> tuple[type[AuthPlugin]]:
    """Start with the schema of auth."""
    return (AuthPlugin,)


@pytest.fixture
def settings() -> dict[str, Any]:
    """Give the table `[auth]`; a test sets it with `parametrize`."""
    return {}


@pytest.fixture
def post() -> Post:
    """Give the post office."""
    return Post()


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any], post: Post
) -> AsyncGenerator[Corekit]:
    """Start a kit with auth, on each database."""
    tables = {"auth": settings, "jobs": {"worker": False}}
    plugins = [AuthPlugin(), post]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        yield kit


@pytest.fixture
def service(kit: Corekit) -> AuthService:
    """Give the service."""
    return kit.get(AuthService)


@pytest.fixture
def caller(kit: Corekit) -> Caller:
    """Give somebody at an address, who has not signed in."""
    return kit.caller(client=Client("192.0.2.1", "pytest"))


@pytest.fixture
def web(kit: Corekit) -> Callable[..., httpx.AsyncClient]:
    """Give a maker of HTTP clients; `token` is sent as bearer."""
    app = create_app(kit, lifespan=False)

    def make(token: str = "", address: str = "192.0.2.1", version: str = "") -> httpx.AsyncClient:
        headers = {"User-Agent": "pytest"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if version:
            headers["X-Supabase-Api-Version"] = version
        transport = httpx.ASGITransport(app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://test/auth/v1", headers=headers)

    return make


@pytest.fixture
async def signed_up(service: AuthService, caller: Caller) -> Grant:
    """Give the first session of a new account."""
    return await service.grant_by_sign_up(caller, ANN, PASSWORD, {"name": "Ann"})


class Tables:
    """The tables, behind the service's back."""

    def __init__(self, kit: Corekit) -> None:
        self._kit = kit

    async def read(self, sql: str, **values: Any) -> list[Any]:
        """Run a query."""
        async with self._kit.caller().system(SIGN_IN).begin(readonly=True) as ctx:
            return list((await ctx.session.execute(text(sql), values)).all())

    async def write(self, statement: Executable) -> None:
        """Change something."""
        async with self._kit.caller().system(SIGN_IN).begin() as ctx:
            await ctx.session.execute(statement)

    async def alter(self, statement: Executable) -> None:
        """Change a table itself, as the one who migrates."""
        async with alone(self._kit.database) as connection:
            await connection.execute(statement)
            if self._kit.database.dialect == "postgresql":
                await connection.commit()

    async def everything(self) -> str:
        """Read every row of every table as text, whatever a policy says."""
        names = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        }[self._kit.database.dialect]
        read = []
        async with alone(self._kit.database) as connection:
            for (name,) in (await connection.execute(text(names))).all():
                rows = (await connection.execute(text(f'SELECT * FROM "{name}"'))).all()  # noqa: S608
                read += [
                    f"{name}: {bytes(v) if isinstance(v, (bytes, memoryview)) else v}" for row in rows for v in row
                ]
        return "\n".join(read)

    async def told(self) -> list[str]:
        """Name the events so far."""
        rows = await self.read("SELECT tag FROM corekit_outbox WHERE kind = 'event'")
        return [row[0] for row in rows]


@pytest.fixture
def tables(kit: Corekit) -> Tables:
    """Give a way to look behind the service."""
    return Tables(kit)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Write all logs of this process to a text, more than a server ever says."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("json", level="DEBUG", stream=stream)
    root.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def refused(web: Callable[..., httpx.AsyncClient]) -> Callable[..., Awaitable[str]]:
    """Give a check that asks in both forms of errors, looks at both bodies, and returns the message."""

    async def check(status: int, code: str, method: str, path: str, token: str = "", **request: Any) -> str:
        async with web(token) as old, web(token, version="2024-01-01") as new:
            before, after = await old.request(method, path, **request), await new.request(method, path, **request)
        assert before.status_code == after.status_code == status, before.text
        assert before.headers["x-sb-error-code"] == after.headers["x-sb-error-code"] == code
        assert after.headers["X-Supabase-Api-Version"] == "2024-01-01"
        assert "X-Supabase-Api-Version" not in before.headers
        assert before.headers["content-type"] == "application/json"
        body = before.json()
        assert (body["code"], body["error_code"]) == (status, code)
        assert after.json()["code"] == code
        assert set(after.json()) - {"weak_password"} == {"code", "message"}
        assert set(body) - {"weak_password"} == {"code", "error_code", "msg"}
        return str(body["msg"])

    return check


@pytest.fixture
async def service_key(kit: Corekit, service: AuthService) -> str:
    """Give a service key that may do an administrator's work."""
    async with kit.caller().system(KEYS).begin() as ctx:
        return (await service.service_keys.issue(ctx, role="service_role", name="tests", life=None)).text
