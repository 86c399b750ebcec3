"""Policies on SQLite: what every policed connection is given when it is opened.

A temporary view takes each table's place and shows the rows that may be read, so that any SQL is filtered, whoever
wrote it; temporary triggers refuse or skip the rows that may not be written; the authorizer refuses every way around.
"""

import re
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Engine, event, false, true
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from corekit.data.policy import Action, Identity, Policy, render

_INFO = "corekit_policed"
_DIALECT = sqlite.dialect()
_ALWAYS = render(true(), _DIALECT)
_WRITE = re.compile(r"\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+", re.IGNORECASE)
_NAME = re.compile(r'"?(\w+)"?')
_MAIN = re.compile(r"\bmain\b", re.IGNORECASE)
_FREE = frozenset(
    (
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    )
)
_ACTIONS: dict[int, Action] = {
    sqlite3.SQLITE_READ: "read",
    sqlite3.SQLITE_INSERT: "insert",
    sqlite3.SQLITE_UPDATE: "update",
    sqlite3.SQLITE_DELETE: "delete",
}
_HARMLESS = frozenset(("json_each", "json_tree"))  # functions that are tables


class Policed:
    """One connection's policing: whose transaction it is in, and which table the running statement may change."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.identity: Identity | None = None
        self._policies = {policy.table.name: policy for policy in policies}
        self._open = {name for name, policy in self._policies.items() if _said(policy, "read", name) == _ALWAYS}
        self._target: str | None = None
        self._mark = f"corekit_{secrets.token_hex(8)}"

    def install(self, connection: DBAPIConnection, *, readonly: bool) -> None:
        """Give a new connection its functions, views, triggers and, last, the authorizer."""
        raw = cast("Any", connection)
        raw.create_function("corekit_actor", 0, self._actor, deterministic=True)
        raw.create_function("corekit_tenant", 0, self._tenant, deterministic=True)
        raw.create_function("corekit_permission", 1, self._permission, deterministic=True)
        raw.create_function("corekit_cascade", 1, self._cascade, deterministic=True)
        cursor = raw.cursor()
        cursor.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        present = {name for (name,) in cursor.fetchall()}
        for policy in self._policies.values():
            if policy.table.name in present:
                for statement in statements(policy, self._mark):
                    cursor.execute(statement)
        if readonly:  # not before: the views and triggers had to be made
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()
        raw.run_async(lambda driver: driver.set_authorizer(self._authorize))

    def before(self, statement: str) -> str:
        """Let a statement that writes reach the table behind the view; note which one that is."""
        self._target = None
        verb = _WRITE.match(statement)
        if verb is None or _MAIN.search(statement):  # nobody but this names the schema
            return statement
        name = _NAME.match(statement, verb.end())
        if name is None or name[1] not in self._policies:
            return statement
        self._target = name[1]
        return f"{statement[: verb.end()]}main.{statement[verb.end() :]}"

    def after(self) -> None:
        """Forget the target: what a driver's own cursor runs now reaches no table at all."""
        self._target = None

    def _actor(self) -> bytes | None:
        actor = self._known().actor
        return None if actor is None else actor.bytes

    def _tenant(self) -> bytes | None:
        tenant = self._known().tenant
        return None if tenant is None else tenant.bytes

    def _permission(self, name: str) -> bool:
        return name in self._known().permissions

    def _cascade(self, table: str) -> bool:
        """Tell whether the running statement is about another table: only a foreign key's action leads to this one."""
        return self._target is not None and self._target != table

    def _known(self) -> Identity:
        if self.identity is None:
            raise PermissionError("no actor: this connection is in no context")
        return self.identity

    def _authorize(
        self, code: int, first: str | None, column: str | None, schema: str | None, within: str | None
    ) -> int:
        """Answer SQLite's question about one step of a statement that it prepares."""
        if code in _FREE:
            return sqlite3.SQLITE_OK
        action = _ACTIONS.get(code)
        if action is None or first is None:  # DDL, ATTACH, PRAGMA: nothing that a person's transaction needs
            return sqlite3.SQLITE_DENY
        if (within or "").startswith(self._mark) or first in _HARMLESS:  # what a view or trigger of ours does inside
            return sqlite3.SQLITE_OK
        counted = action == "read" and column == "" and first in self._open  # counting names no column
        policy = self._policies.get(first)
        if policy is None:
            return sqlite3.SQLITE_DENY
        if action == "read" and schema == "main" and not counted:
            # A bare name is the view's. Tables themselves are read for the rows that a statement changes, where others'
            # are skipped all the same, and for its foreign keys.
            return sqlite3.SQLITE_DENY if self._target is None else sqlite3.SQLITE_OK
        cascades = action in {"update", "delete"} and self._cascade(first) and _follows(policy)
        allowed = (action == "read" or first == self._target) and policy.allows(action)
        return sqlite3.SQLITE_OK if cascades or counted or allowed else sqlite3.SQLITE_DENY


def police(engine: Engine, policies: Sequence[Policy], *, readonly: bool) -> None:
    """Police every connection of an engine."""

    @event.listens_for(engine, "connect")
    def connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        policed = record.info[_INFO] = Policed(policies)
        policed.install(connection, readonly=readonly)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        work = connection.get_execution_options().get("corekit_work")
        identify(connection.connection, None if work is None else work.identity)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def before(connection: Connection, _: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
        return connection.info[_INFO].before(statement), parameters

    @event.listens_for(engine, "after_cursor_execute")
    def after(connection: Connection, *_: Any) -> None:
        connection.info[_INFO].after()

    @event.listens_for(engine, "handle_error")
    def failed(context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.invalidated:
            context.connection.info[_INFO].after()

    @event.listens_for(engine, "checkin")
    def checkin(_: Any, record: ConnectionPoolEntry) -> None:
        if _INFO in record.info:  # otherwise it could not be opened
            record.info[_INFO].identity = None


def identify(connection: PoolProxiedConnection, identity: Identity | None) -> None:
    """Say whose statements a borrowed connection runs, where it is policed; when it goes back it is nobody's."""
    if (policed := connection.info.get(_INFO)) is not None:
        policed.identity = identity


def statements(policy: Policy, mark: str) -> list[str]:
    """List the view and the triggers that enforce a policy.

    `mark` begins the names that SQLite tells the authorizer for what happens inside of them. No statement has it: what
    it calls a common table expression of its own is told in the same way. (EXPLAIN may show the mark; all this guards
    against mistakes in queries, not against somebody who runs SQL of their choice.)
    """
    table = policy.table.name
    old, new = _rule(policy, "update", "OLD"), _rule(policy, "check", "NEW")
    when = f"WHEN NOT corekit_cascade('{table}') " if _follows(policy) else ""
    rows = f"SELECT * FROM main.{table} AS {table} WHERE {_said(policy, 'read', table)}"  # noqa: S608  # declared names
    return [
        f"CREATE TEMP VIEW {table} AS WITH {mark} AS ({rows}) SELECT * FROM {mark}",  # noqa: S608
        _trigger(mark, table, "insert", _abort(table, _rule(policy, "insert", "NEW"))),
        # Before the change, or a rule that asks its own table would see what it is to judge.
        _trigger(mark, table, "update", f"{_skip(old)} {_abort(table, new)}", when),
        _trigger(mark, table, "delete", _skip(_rule(policy, "delete", "OLD")), when),
    ]


def _trigger(mark: str, table: str, action: str, body: str, when: str = "") -> str:
    return f"CREATE TEMP TRIGGER {mark}_{table}_{action} BEFORE {action.upper()} ON main.{table} {when}BEGIN {body} END"


def _follows(policy: Policy) -> bool:
    """Tell whether rows change because the row that they refer to does; that is the schema's will, not a person's."""
    return any(key.ondelete or key.onupdate for key in policy.table.foreign_keys)


def _said(policy: Policy, action: Action, row: str) -> str:
    said = policy.expression(action, row)
    return render(false() if said is None else said, _DIALECT)


def _rule(policy: Policy, action: Action, row: str) -> str:
    """Write a rule for a trigger, where unknown is no; a view's is left bare, so that it can use an index."""
    return f"coalesce(({_said(policy, action, row)}), 0)"


def _skip(rule: str) -> str:
    return f"SELECT RAISE(IGNORE) WHERE NOT {rule};"


def _abort(table: str, rule: str) -> str:
    return f"SELECT RAISE(ABORT, 'new row violates the policy of {table}') WHERE NOT {rule};"
