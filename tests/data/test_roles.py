"""A database whose policies would not bind the application is refused at the start, and the refusal says why."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from corekit import Corekit, Plugin, Settings
from corekit.context import Kit
from corekit.data import DatabaseSettings
from corekit.data.roles import DEFINER, OWNER, SERVICE, Roles, ddl
from corekit.errors import SchemaError
from corekit.settings import Config
from corekit.testing import PostgresServer

KEYS = {"active": "k", "keys": {"k": "A" * 43}, "index": "A" * 43}


class Witness(Plugin[Settings]):
    """Writes down that it was started."""

    name = "witness"
    served = False

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        self.served = True
        yield


class Site:
    """A migrated database whose application role is nobody else's, so that a test may spoil it."""

    def __init__(self, settings: DatabaseSettings, admin: str, folder: Path) -> None:
        self.settings = settings
        self.app = str(make_url(settings.url).username)
        self._admin = admin
        self._folder = folder

    def kit(self, env: str = "prod") -> Corekit:
        """Make a kit for it, which does not migrate."""
        overrides = {"keyring": KEYS, "jobs": {"worker": False}, "kit": {"migrate": False}}
        config = Config.load(environ={}, env=env, overrides=overrides)
        return Corekit([Witness()], database=self.settings, data_dir=self._folder, config=config)

    async def run(self, *statements: str) -> None:
        """Run SQL as the administrator."""
        connection = await asyncpg.connect(self._admin)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def migrate(self) -> None:
        """Run what `corekit migrate up` does."""
        kit = self.kit()
        async with kit.database:
            await kit.schema.up()


@pytest.fixture
async def site(postgres_url: str, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Site]:
    settings = await postgres.settings(postgres_url)
    roles = Roles(OWNER, f"corekit_app_{uuid4().hex[:12]}", SERVICE, DEFINER)
    mine = make_url(settings.url).set(username=roles.app).render_as_string(hide_password=False)
    made = Site(
        DatabaseSettings(url=mine, owner_url=settings.owner_url, service_url=settings.service_url),
        postgres_url,
        tmp_path,
    )
    await made.run(*ddl(roles, str(make_url(postgres_url).database)))
    if password := make_url(mine).password:
        await made.run(f"ALTER ROLE \"{roles.app}\" PASSWORD '{password}'")
    await made.migrate()
    yield made
    await made.run(f"REASSIGN OWNED BY {roles.app} TO {OWNER}", f"DROP OWNED BY {roles.app}", f"DROP ROLE {roles.app}")


async def test_a_database_as_it_should_be_serves(site: Site) -> None:
    kit = site.kit()
    async with kit:
        assert kit.plugins[0].served


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER ROLE {app} SUPERUSER", "{app} is a superuser"),
        ("ALTER ROLE {app} BYPASSRLS", "{app} has BYPASSRLS"),
        ("GRANT corekit_service TO {app}", "{app} is a member of corekit_service"),
        ("GRANT corekit_owner TO {app}", "{app} is a member of corekit_owner"),
        ("GRANT corekit_definer TO {app}", "{app} is a member of corekit_definer"),
        ("ALTER TABLE corekit_job OWNER TO {app}", "{app} owns corekit_job"),
        ("GRANT SELECT ON corekit_job TO {app}", "{app} has SELECT on corekit_job"),
        ("GRANT SELECT (payload) ON corekit_job TO {app}", "{app} has SELECT on corekit_job"),
        ("GRANT SELECT ON corekit_outbox TO PUBLIC", "{app} has SELECT on corekit_outbox"),
        ("GRANT UPDATE (priority) ON corekit_outbox TO {app}", "{app} has UPDATE on corekit_outbox"),
        ("GRANT DELETE ON corekit_job TO {app}", "{app} has DELETE on corekit_job"),
        ("GRANT TRUNCATE ON corekit_job TO {app}", "{app} has TRUNCATE on corekit_job"),
        ("GRANT TRIGGER ON corekit_outbox TO {app}", "{app} has TRIGGER on corekit_outbox"),
    ],
)
async def test_a_role_that_no_policy_would_bind(site: Site, statement: str, said: str) -> None:
    await site.run(statement.format(app=site.app))
    kit = site.kit()
    with pytest.raises(SchemaError, match=said.format(app=site.app)):
        async with kit:
            pass
    assert not kit.plugins[0].served
    async with site.kit("dev"):  # there it is a warning
        pass


@pytest.mark.parametrize(
    "statement",
    [
        "DROP POLICY corekit_insert ON corekit_outbox",
        "ALTER POLICY corekit_insert ON corekit_outbox WITH CHECK (true)",
        "CREATE POLICY more ON corekit_outbox USING (true)",
        "ALTER TABLE corekit_outbox NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE corekit_outbox DISABLE ROW LEVEL SECURITY",
        "DELETE FROM corekit_policy WHERE name = 'corekit_outbox'",
    ],
)
async def test_policies_that_are_not_as_declared(site: Site, statement: str) -> None:
    await site.run(statement)
    with pytest.raises(SchemaError, match="corekit_outbox is not policed as declared: see `corekit migrate roles`"):
        async with site.kit():
            pass
    await site.migrate()
    async with site.kit():
        pass


@pytest.mark.parametrize("other", ["owner_url", "service_url"])
async def test_an_application_that_is_somebody_else_too(site: Site, other: str) -> None:
    given = {"owner_url": site.settings.owner_url, "service_url": site.settings.service_url}
    site.settings = DatabaseSettings(url=given[other], **given)
    with pytest.raises(SchemaError, match="who is the owner or the service too"):
        async with site.kit():
            pass


async def test_roles_are_made_again_without_harm(site: Site, postgres_url: str) -> None:
    roles = Roles(OWNER, site.app, SERVICE, DEFINER)
    await site.run("ALTER ROLE " + site.app + " CREATEDB", *ddl(roles, str(make_url(postgres_url).database)))
    async with site.kit():
        pass
