"""Telling a database that is away, locked or full, or that refuses, from a statement that is wrong."""

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_SQLITE = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN))
_SQLITE_REFUSAL = "violates the policy of"
_POSTGRESQL = ("08", "53", "57", "55P03", "40")  # connection, resources, intervention, lock, serialization


def is_away(error: BaseException) -> bool:
    """Tell whether the same work may succeed later: the caller gets "not available now" instead of a fault."""
    if isinstance(error, PoolTimeout | ConnectionError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return (code is not None and code & 0xFF in _SQLITE) or state.startswith(_POSTGRESQL)


def is_refused(error: BaseException) -> bool:
    """Tell whether a policy, or a right that who acts does not have, stood in the way of a statement."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    violated = code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and _SQLITE_REFUSAL in str(error.orig)
    return violated or code == sqlite3.SQLITE_AUTH or getattr(error.orig, "sqlstate", None) == "42501"
