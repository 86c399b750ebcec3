"""PostgreSQL's four roles: who owns, who acts for people, who serves everybody, and whom predicates run as."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from corekit.data.options import DatabaseSettings, database_url
from corekit.data.policy import Action, Policy

OWNER, APP, SERVICE, DEFINER = "corekit_owner", "corekit_app", "corekit_service", "corekit_definer"
_PRIVILEGES: dict[Action, str] = {"read": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
_ATTRIBUTES = text("""
SELECT rolsuper, rolbypassrls, ARRAY(
  SELECT other.rolname::text FROM pg_roles other WHERE other.rolname <> me.rolname
     AND pg_has_role(me.oid, other.oid, 'MEMBER')
     AND (other.rolsuper OR other.rolbypassrls OR other.rolname = ANY(:above))) AS above
  FROM pg_roles me WHERE rolname = :app
""")
_TABLE = text("""
SELECT c.relowner = (SELECT oid FROM pg_roles WHERE rolname = :app) AS owned,
       ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) privilege
              WHERE has_any_column_privilege(:app, c.oid, privilege)) ||
       ARRAY(SELECT privilege FROM unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) privilege
              WHERE has_table_privilege(:app, c.oid, privilege)) AS held
  FROM pg_class c WHERE c.oid = to_regclass(:table)
""")


@dataclass(frozen=True)
class Roles:
    """The names of the roles of one database; `definer` is None where that role was never made."""

    owner: str
    app: str
    service: str
    definer: str | None

    @property
    def apart(self) -> bool:
        """Whether the application is neither the owner nor the service."""
        return self.app not in {self.owner, self.service}


def roles_of(connection: Connection, settings: DatabaseSettings) -> Roles:
    """Read the roles' names from the URLs; one that names nobody is who is connected."""
    me = str(connection.exec_driver_sql("SELECT current_user").scalar())
    app, owner, service = (
        (database_url(url).username if url else None)
        for url in (settings.url, settings.owner_url, settings.service_url)
    )
    app = app or me
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": DEFINER}).scalar()
    return Roles(owner or app, app, service or app, DEFINER if known else None)


def faults(connection: Connection, roles: Roles, policies: Iterable[Policy]) -> Iterator[str]:
    """Say why the application's role is none that policies could bind."""
    if not roles.apart:
        yield f"the application connects as {roles.app}, who is the owner or the service too"
        return
    above = {"above": [roles.owner, roles.service, roles.definer or DEFINER], "app": roles.app}
    found = connection.execute(_ATTRIBUTES, above).one_or_none()
    if found is None:
        yield f"there is no role {roles.app}"
        return
    if found.rolsuper:
        yield f"{roles.app} is a superuser"
    if found.rolbypassrls:
        yield f"{roles.app} has BYPASSRLS"
    for name in found.above:
        yield f"{roles.app} is a member of {name}"
    if roles.definer is None:
        yield f"there is no role {DEFINER}"
    for policy in policies:
        yield from table_faults(connection, roles, policy)


def table_faults(connection: Connection, roles: Roles, policy: Policy) -> Iterator[str]:
    """Say what the application may do to a table that is not declared."""
    table = policy.table.name
    found = connection.execute(_TABLE, {"app": roles.app, "table": table}).mappings().one_or_none()
    if found is None:  # a branch that is not applied; the revisions' own check says so
        return
    if found["owned"]:
        yield f"{roles.app} owns {table}"
    allowed = {privilege for action, privilege in _PRIVILEGES.items() if policy.allows(action)}
    for privilege in found["held"]:
        if privilege not in allowed:
            yield f"{roles.app} has {privilege} on {table}"


def named(settings: DatabaseSettings) -> Roles:
    """Take the roles' names from the URLs, where these tell them apart."""
    urls = (settings.owner_url, settings.url, settings.service_url)
    owner, app, service = (database_url(url).username if url else None for url in urls)
    return Roles(owner or OWNER, app if app and owner and service else APP, service or SERVICE, DEFINER)


def for_settings(settings: DatabaseSettings) -> list[str]:
    """List the statements that `ddl` lists, for the database and the roles of these settings."""
    return ddl(named(settings), database_url(settings.url).database or "", settings.schema)


async def apply(settings: DatabaseSettings, admin: str) -> None:
    """Make the roles as an administrator, whose URL this is; set the passwords that the settings' URLs have."""
    engine = create_async_engine(database_url(admin), poolclass=NullPool, hide_parameters=True)
    try:
        async with engine.begin() as connection:
            for statement in for_settings(settings):
                await connection.exec_driver_sql(statement)
            for url in map(database_url, filter(None, (settings.owner_url, settings.url, settings.service_url))):
                if url.username and url.password:
                    quote = "SELECT format('ALTER ROLE %I PASSWORD %L', CAST(:name AS text), CAST(:password AS text))"
                    values = {"name": url.username, "password": url.password}
                    await connection.exec_driver_sql(str(await connection.scalar(text(quote), values)))
    finally:
        await engine.dispose()


def ddl(roles: Roles, database: str, schema: str = "public") -> list[str]:
    """List the statements, for an administrator, that make the roles and give them this database; again is harmless."""
    logins = [roles.owner, roles.app, roles.service]
    definer = roles.definer or DEFINER
    return [
        *(_role(name, "LOGIN") for name in logins),
        _role(definer, "NOLOGIN"),
        f'GRANT "{definer}" TO "{roles.owner}"',
        f'ALTER DATABASE "{database}" OWNER TO "{roles.owner}"',
        f'GRANT CONNECT ON DATABASE "{database}" TO "{roles.app}", "{roles.service}"',
        f'CREATE SCHEMA IF NOT EXISTS "{schema}"',
        f'ALTER SCHEMA "{schema}" OWNER TO "{roles.owner}"',
        f'REVOKE CREATE ON SCHEMA "{schema}" FROM PUBLIC',
        f'GRANT USAGE ON SCHEMA "{schema}" TO "{roles.app}", "{roles.service}", "{definer}"',
        f'GRANT CREATE ON SCHEMA "{schema}" TO "{definer}"',
        # What was made before there were roles passes to the owner.
        f"""DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' AND tableowner <> '{roles.owner}'
  LOOP EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', '{schema}', found.tablename, '{roles.owner}'); END LOOP;
END $$""",  # noqa: S608  # the operator's own names
    ]


def _role(name: str, login: str) -> str:
    attributes = f"{login} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
    return f"""DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN CREATE ROLE "{name}"; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}' AND rolcanlogin = {login == "LOGIN"}
                 AND NOT (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole))
  THEN ALTER ROLE "{name}" {attributes}; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""  # noqa: S608  # the operator's own names
