"""Policies on PostgreSQL: row-level security, emitted from the declarations, and the actor of each transaction."""

import re
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState
from sqlalchemy.util import await_only

from corekit.data.policy import Identity
from corekit.errors import PluginError

_PERMISSION = re.compile(r"[a-z0-9_:.-]+")


def police(engine: Engine) -> None:
    """Begin every transaction of an engine with its actor, in one round trip; the engine itself is in autocommit."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        work = connection.get_execution_options().get("corekit_work")
        _say(connection, "BEGIN" if work is None else opening(work.identity, readonly=work.readonly))

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        if _say(connection, "COMMIT") != "COMMIT":
            raise OperationalError("COMMIT", None, RuntimeError("a statement had failed; everything was rolled back"))

    @event.listens_for(engine, "rollback")
    def rollback(connection: Connection) -> None:
        if not connection.invalidated:
            _say(connection, "ROLLBACK")

    @event.listens_for(engine, "reset")
    def reset(connection: DBAPIConnection, _: ConnectionPoolEntry, state: PoolResetState) -> None:
        driver: Any = connection.driver_connection
        if state.asyncio_safe and not state.terminate_only and driver.is_in_transaction():
            await_only(driver.execute("ROLLBACK"))


def opening(identity: Identity | None, *, readonly: bool) -> str:
    """Write the statements that begin a transaction of somebody's."""
    statements = ["BEGIN READ ONLY" if readonly else "BEGIN"]
    if identity is not None:
        if identity.actor is not None:
            statements.append(f"SET LOCAL corekit.actor = '{identity.actor}'")
        if identity.tenant is not None:
            statements.append(f"SET LOCAL corekit.tenant = '{identity.tenant}'")
        if identity.permissions:
            statements.append(f"SET LOCAL corekit.permissions = '{','.join(map(_checked, identity.permissions))}'")
    return "; ".join(statements)


def _checked(permission: str) -> str:
    if not _PERMISSION.fullmatch(permission):
        raise PluginError(f"permission {permission!r}: a name has only a to z, 0 to 9, _ : . and -")
    return permission


def _say(connection: Connection, statement: str) -> str:
    """Send a statement as it is; what the driver raises becomes SQLAlchemy's, as everywhere else."""
    driver: Any = connection.connection.driver_connection
    try:
        answer: str = await_only(driver.execute(statement))
    except Exception as error:
        gone = driver.is_closed()
        if gone:
            connection.invalidate(error)
        broken = str(getattr(error, "sqlstate", "")).startswith("23")  # a deferred constraint, asked at COMMIT
        kind = IntegrityError if broken else OperationalError
        raise kind(statement.partition(";")[0], None, error, connection_invalidated=gone) from error
    return answer
