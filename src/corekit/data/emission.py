"""Row-level security, emitted from the declared policies at the end of every migration, and compared at every start."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Dialect, delete, false, insert, inspect, literal_column, select, text
from sqlalchemy.dialects import postgresql

from corekit.data.installed import PluginRow, PolicyRow
from corekit.data.policy import Action, Policy, Predicate, actor, render, tables_read
from corekit.data.roles import Roles, table_faults

FUNCTION = "function "
_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_CLAUSES: Mapping[str, tuple[tuple[str, Action], ...]] = {
    "SELECT": (("USING", "read"),),
    "INSERT": (("WITH CHECK", "insert"),),
    "UPDATE": (("USING", "update"), ("WITH CHECK", "check")),
    "DELETE": (("USING", "delete"),),
}
_NAMES: Mapping[Action, str] = {"read": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
_SEQUENCES = text(
    "SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')"
    " WHERE s.relkind = 'S' AND d.refobjid = to_regclass(:table)"
)
# What the catalogue says, so that a policy that somebody changed by hand is seen.
_TABLE_STATE = text(
    "SELECT c.relrowsecurity, c.relforcerowsecurity, (SELECT jsonb_agg(jsonb_build_array(p.polname, p.polcmd,"
    " p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),"
    " ARRAY(SELECT rolname FROM pg_roles WHERE oid = ANY(p.polroles) ORDER BY rolname)) ORDER BY p.polname)"
    " FROM pg_policy p WHERE p.polrelid = c.oid)::text FROM pg_class c WHERE c.oid = to_regclass(:name)"
)
_FUNCTION_STATE = text(
    "SELECT pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner)::text, p.proacl::text FROM pg_proc p"
    " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = :name AND n.nspname = current_schema()"
)


def emit(connection: Connection, policies: Sequence[Policy], roles: Roles, prefixes: Iterable[str]) -> None:
    """Bring policies, predicate functions and grants to what is declared; what is right already is left alone.

    `prefixes` name the plugins of this code: functions of theirs that no policy asks any more are dropped.
    """
    present = set(inspect(connection).get_table_names())
    if PolicyRow.__tablename__ not in present:
        return
    here = [policy for policy in policies if policy.table.name in present]
    wanted = declared(here, roles, str(connection.exec_driver_sql("SELECT current_schema()").scalar()))
    known = _recorded(connection)
    stale = {name for name, statements in wanted.items() if not _same(connection, name, statements, known)}
    if roles.apart:  # rights that somebody gave by hand are taken back
        stale |= {policy.table.name for policy in here if any(table_faults(connection, roles, policy))}
    gone = {name for name in known.keys() - wanted.keys() if name.removeprefix(FUNCTION).startswith(tuple(prefixes))}
    if any(name.startswith(FUNCTION) for name in stale | gone):  # policies hold on to the functions that they ask
        stale |= {policy.table.name for policy in here if policy.predicates()}
        for policy in here:
            if policy.table.name in stale:  # one that asks none now may have asked before
                _run(connection, _drop_policies(connection, policy.table.name))
    for name in sorted(gone):
        if name.startswith(FUNCTION):
            _run(connection, _drop_function(connection, name.removeprefix(FUNCTION)))
        _record(connection, name, None)
    for name in sorted(stale, key=lambda name: (not name.startswith(FUNCTION), name)):  # functions first
        bare = name.removeprefix(FUNCTION)
        drop = _drop_function if bare != name else _drop_policies
        _run(connection, [*drop(connection, bare), *wanted[name], *_sequences(connection, bare, roles)])
        _record(connection, name, _hash(connection, name, wanted[name]))


def unpolice(connection: Connection, prefix: str) -> None:
    """Take away the policies of all tables whose names begin so: the owner alone reaches these until they are back."""
    for table in inspect(connection).get_table_names():
        if table.startswith(prefix):
            _run(connection, _drop_policies(connection, table, but="corekit_owner"))


def let_read(connection: Connection, roles: Roles) -> None:
    """Let the service see where the schema stands, policed or not yet."""
    present = {"corekit_alembic", PluginRow.__tablename__, PolicyRow.__tablename__} & set(
        inspect(connection).get_table_names()
    )
    if present:
        connection.exec_driver_sql(f'GRANT SELECT ON {", ".join(sorted(present))} TO "{roles.service}"')


def differences(connection: Connection, policies: Sequence[Policy], roles: Roles) -> Iterator[str]:
    """Name the tables and functions whose policing is not what is declared; migrating mends them."""
    wanted = declared(policies, roles, str(connection.exec_driver_sql("SELECT current_schema()").scalar()))
    known = _recorded(connection)
    for name, statements in wanted.items():
        if not _same(connection, name, statements, known):
            yield name


def declared(policies: Sequence[Policy], roles: Roles, schema: str) -> dict[str, list[str]]:
    """Write all statements, by the table or function that they are about."""
    predicates = {predicate.name: predicate for policy in policies for predicate in policy.predicates()}
    asked = {table.name for predicate in predicates.values() for table in tables_read(_body(predicate))}
    found = {f"{FUNCTION}{name}": _function(predicate, roles, schema) for name, predicate in sorted(predicates.items())}
    return found | {policy.table.name: _table(policy, roles, asked=policy.table.name in asked) for policy in policies}


def _table(policy: Policy, roles: Roles, *, asked: bool) -> list[str]:
    table = policy.table.name
    statements = [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"]
    for command, clauses in _CLAUSES.items():
        rules = " ".join(f"{clause} ({_rule(policy, action)})" for clause, action in clauses)
        statements.append(f'CREATE POLICY corekit_{command.lower()} ON {table} FOR {command} TO "{roles.app}" {rules}')
    for name, role in (("service", roles.service), ("owner", roles.owner)):
        everything = "USING (true) WITH CHECK (true)"
        statements.append(f'CREATE POLICY corekit_{name} ON {table} FOR ALL TO "{role}" {everything}')
    if roles.apart:
        statements.append(f'REVOKE ALL ON {table} FROM PUBLIC, "{roles.app}"')
    granted = ", ".join(privilege for action, privilege in _NAMES.items() if policy.allows(action))
    if granted:
        statements.append(f'GRANT {granted} ON {table} TO "{roles.app}"')
    statements.append(f'GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO "{roles.service}"')
    if asked and roles.definer:
        statements.append(f'CREATE POLICY corekit_definer ON {table} FOR SELECT TO "{roles.definer}" USING (true)')
        statements.append(f'GRANT SELECT ON {table} TO "{roles.definer}"')
    return statements


def _function(predicate: Predicate, roles: Roles, schema: str) -> list[str]:
    """Write a predicate as a function that answers about nobody but who acts, with the definer's eyes."""
    arguments = ", ".join(f"{name} {type_.compile(_DIALECT)}" for name, type_ in predicate.arguments.items())
    types = ", ".join(type_.compile(_DIALECT) for type_ in predicate.arguments.values())
    own = f"${list(predicate.arguments).index('actor') + 1} = {render(actor(), _DIALECT)}"
    body = f"SELECT coalesce({own} AND ({render(_body(predicate), _DIALECT)}), false)"
    how = f'LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, "{schema}", pg_temp'
    statements = [
        f"CREATE FUNCTION {predicate.name}({arguments}) RETURNS boolean {how} AS $body$ {body} $body$",
        f"REVOKE ALL ON FUNCTION {predicate.name}({types}) FROM PUBLIC",
        f'GRANT EXECUTE ON FUNCTION {predicate.name}({types}) TO "{roles.app}"',
    ]
    if roles.definer:
        statements.append(f'ALTER FUNCTION {predicate.name}({types}) OWNER TO "{roles.definer}"')
    return statements


def _body(predicate: Predicate) -> Any:
    places = [literal_column(f"${place}", type_) for place, type_ in enumerate(predicate.arguments.values(), 1)]
    return predicate.body(*places)


def _rule(policy: Policy, action: Action) -> str:
    said = policy.expression(action, policy.table.name)
    return render(false() if said is None else said, _DIALECT)


def _sequences(connection: Connection, table: str, roles: Roles) -> list[str]:
    names = connection.execute(_SEQUENCES, {"table": table}).scalars()
    return [f'GRANT USAGE ON SEQUENCE "{name}" TO "{roles.app}", "{roles.service}"' for name in names]


def _drop_policies(connection: Connection, table: str, but: str = "") -> list[str]:
    names = connection.execute(
        text("SELECT polname FROM pg_policy WHERE polrelid = to_regclass(:table) AND polname <> :but"),
        {"table": table, "but": but},
    )
    return [f'DROP POLICY "{name}" ON {table}' for name in names.scalars()]


def _drop_function(connection: Connection, name: str) -> list[str]:
    found = connection.execute(
        text(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE p.proname = :name AND n.nspname = current_schema()"
        ),
        {"name": name},
    )
    return [f"DROP FUNCTION {signature}" for signature in found.scalars()]


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _recorded(connection: Connection) -> dict[str, str]:
    return {row.name: row.hash for row in connection.execute(select(PolicyRow.name, PolicyRow.hash))}


def _record(connection: Connection, name: str, hash_: str | None) -> None:
    connection.execute(delete(PolicyRow).where(PolicyRow.name == name))
    if hash_ is not None:
        connection.execute(insert(PolicyRow).values(name=name, hash=hash_, updated_at=datetime.now(UTC)))


def _same(connection: Connection, name: str, statements: list[str], known: Mapping[str, str]) -> bool:
    return name in known and known[name] == _hash(connection, name, statements)


def _hash(connection: Connection, name: str, statements: list[str]) -> str:
    """Digest what is declared together with what the database says that it has."""
    bare = name.removeprefix(FUNCTION)
    rows = connection.execute(_FUNCTION_STATE if bare != name else _TABLE_STATE, {"name": bare}).all()
    return sha256("\n".join([*statements, *(repr(tuple(row)) for row in rows)]).encode()).hexdigest()
