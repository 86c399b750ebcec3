"""Policy: who may see and change a row, declared once beside its table, enforced by PostgreSQL and by SQLite.

`corekit.data.policy_postgresql` turns a declaration into row-level security, `corekit.data.policy_sqlite` into views
and triggers of every policed connection. What is not declared is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Dialect, MetaData, Table, and_, literal_column, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from corekit.data.base import Base, Id
from corekit.errors import PluginError

Rule = Callable[[Any], ColumnElement[bool]]
Action = Literal["read", "insert", "update", "check", "delete"]
ACTIONS: tuple[Action, ...] = ("read", "insert", "update", "check", "delete")
_KEY = "corekit_policy"
_TENANT = "tenant"


@dataclass(frozen=True)
class Identity:
    """Whom a policed transaction belongs to, as policies see it."""

    actor: UUID | None = None
    tenant: UUID | None = None
    permissions: frozenset[str] = frozenset()


class actor(FunctionElement[UUID]):  # noqa: N801  # reads as the function that it is in SQL
    """In a policy: the id of who acts; NULL for nobody."""

    type = Id()
    inherit_cache = True


class current_tenant(FunctionElement[UUID]):  # noqa: N801
    """In a policy: the tenant of who acts; NULL where the kit has none."""

    type = Id()
    inherit_cache = True


class _SameTenant(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True


class has_permission(FunctionElement[bool]):  # noqa: N801
    """In a policy: whether who acts has this permission, as in `has_permission("payments:payment:read")`."""

    type = Boolean()
    inherit_cache = True


class Predicate:
    """A question that policies ask of tables whatever the asker may see, answered about the asker alone.

    `Predicate("chat_can_read", body, conv=UUID, seq=int, actor=UUID)`: `body` takes the arguments and returns an SQL
    expression; the name begins with the plugin's. It sees the tables as they were before the statement.
    """

    def __init__(self, name: str, body: Callable[..., ColumnElement[bool]], **arguments: type) -> None:
        if "actor" not in arguments:
            raise PluginError(f"predicate {name} needs an argument `actor`: it answers about who acts, nobody else")
        self.name = name
        self.body = body
        self.arguments: Mapping[str, TypeEngine[Any]] = {
            argument: _column_type(kind) for argument, kind in arguments.items()
        }
        self._call = type(name, (_Call,), {"predicate": self, "inherit_cache": True})

    def __call__(self, *values: Any) -> ColumnElement[bool]:
        """Ask it in a policy: `chat_can_read(m.conversation, m.seq, actor())`."""
        if len(values) != len(self.arguments):
            raise PluginError(f"predicate {self.name} takes {', '.join(self.arguments)}")
        call: ColumnElement[bool] = self._call(*values)
        return call


class _Call(FunctionElement[bool]):
    predicate: ClassVar[Predicate]
    type = Boolean()
    inherit_cache = True


class Policy:
    """`Policy(MessageRow, read=lambda m: …, insert=…, update=…, delete=…)`: rules per action, each an SQL expression.

    `m` has the row's columns. `update` picks the rows that may be changed, `check` says what they may become (without
    it: the same); `write` stands for insert, update and delete. A rule that is not given lets nobody. Where the table
    has a column `tenant`, every rule also demands the tenant of who acts.
    """

    def __init__(
        self,
        row: type[Base],
        *,
        read: Rule | None = None,
        write: Rule | None = None,
        insert: Rule | None = None,
        update: Rule | None = None,
        check: Rule | None = None,
        delete: Rule | None = None,
        reason: str = "",
    ) -> None:
        update = update or write
        given = {"read": read, "insert": insert or write, "update": update, "check": check or update}
        self._rules: Mapping[str, Rule | None] = given | {"delete": delete or write}
        self.reason = reason
        self.table = _table(row)
        if _KEY in self.table.info:
            raise PluginError(f"{self.table.name} has a policy already")
        self._attributes = {attribute.key: attribute.columns[0].name for attribute in row.__mapper__.column_attrs}
        self.table.info[_KEY] = self

    @classmethod
    def public(cls, row: type[Base], reason: str) -> "Policy":
        """Let everybody read, and nobody write but what is elevated; say why."""
        return cls(row, read=lambda _: true(), reason=_said(row, reason))

    @classmethod
    def closed(cls, row: type[Base], reason: str) -> "Policy":
        """Let nobody in but what is elevated; say why."""
        return cls(row, reason=_said(row, reason))

    def allows(self, action: Action) -> bool:
        """Tell whether there is a rule at all."""
        return self._rules[action] is not None

    def expression(self, action: Action, row: str) -> ColumnElement[bool] | None:
        """Write a rule about the row that SQL calls `row`: the table's name, NEW or OLD."""
        rule = self._rules[action]
        if rule is None:
            return None
        columns = {
            key: literal_column(f"{row}.{name}", self.table.c[name].type) for key, name in self._attributes.items()
        }
        said = rule(SimpleNamespace(**columns))
        self._demand_bound(said)
        if _TENANT not in self.table.c:
            return said
        return and_(_SameTenant(literal_column(f"{row}.{_TENANT}", Id())), said)

    def predicates(self) -> set[Predicate]:
        """Return the predicates that its rules ask."""
        return {
            part.predicate
            for action in ACTIONS
            if (said := self.expression(action, self.table.name)) is not None
            for part in visitors.iterate(said)
            if isinstance(part, _Call)
        }

    def _demand_bound(self, said: ColumnElement[bool]) -> None:
        """Refuse a column of the table that is not the row's: in an EXISTS it would stand for any row whatever."""
        for part in visitors.iterate(said):
            if getattr(part, "table", None) is self.table:
                raise PluginError(
                    f"policy of {self.table.name}: use the rule's argument for the row, and an alias for its other rows"
                )


def policy_of(table: Table) -> Policy | None:
    """Return the policy that was declared for a table."""
    found: Policy | None = table.info.get(_KEY)
    return found


def policies(metadata: MetaData, prefixes: Sequence[str]) -> list[Policy]:
    """Return the policies of all tables whose names begin so.

    Raises:
        PluginError: a table has none.

    """
    found = []
    for table in sorted(metadata.tables.values(), key=lambda table: table.name):
        if table.name.startswith(tuple(prefixes)):
            policy = policy_of(table)
            if policy is None:
                raise PluginError(f"table {table.name} has no Policy: declare one beside it, or Policy.closed(…)")
            found.append(policy)
    return found


def render(expression: ColumnElement[Any], dialect: Dialect, schema: str | None = None) -> str:
    """Write an expression with its literals, for DDL; `schema` qualifies the tables that it reads."""
    return str(
        expression.compile(
            dialect=dialect,
            schema_translate_map={None: schema} if schema else None,
            render_schema_translate=schema is not None,
            compile_kwargs={"literal_binds": True},
        )
    )


def tables_read(expression: ColumnElement[Any]) -> Iterator[Table]:
    """Yield the tables that an expression reads, aliased or not."""
    for part in visitors.iterate(expression):
        source = getattr(part, "table", part)
        while (inner := getattr(source, "element", None)) is not None:
            source = inner
        if isinstance(source, Table):
            yield source


def _said(row: type[Base], reason: str) -> str:
    if not reason.strip():
        raise PluginError(f"policy of {row.__name__}: give the reason")
    return reason


def _table(row: type[Base]) -> Table:
    table = row.__table__
    if not isinstance(table, Table):
        raise PluginError(f"{row.__name__} is not mapped to a table")
    return table


def _column_type(kind: type) -> TypeEngine[Any]:
    found = {**Base.type_annotation_map, bool: Boolean()}.get(kind)
    if found is None:
        raise PluginError(f"a predicate takes UUID, int, str, bool and datetime, not {kind.__name__}")
    type_: TypeEngine[Any] = found
    return type_


@compiles(actor, "sqlite")
def _(_element: actor, _compiler: Any, **_kw: Any) -> str:
    return "corekit_actor()"


@compiles(actor, "postgresql")
def _(_element: actor, _compiler: Any, **_kw: Any) -> str:
    return _setting("actor", "::uuid")


@compiles(current_tenant, "sqlite")
def _(_element: current_tenant, _compiler: Any, **_kw: Any) -> str:
    return "corekit_tenant()"


@compiles(current_tenant, "postgresql")
def _(_element: current_tenant, _compiler: Any, **_kw: Any) -> str:
    return _setting("tenant", "::uuid")


@compiles(_SameTenant, "sqlite")
def _(element: _SameTenant, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.clauses, **kw)} IS corekit_tenant()"


@compiles(_SameTenant, "postgresql")
def _(element: _SameTenant, compiler: Any, **kw: Any) -> str:
    """Compare as IS NOT DISTINCT FROM does, in a form of which PostgreSQL's planner expects that nearly all rows pass.

    Of IS NOT DISTINCT FROM it expects that none do where the column holds nothing but NULL; then it reads and sorts a
    whole conversation where its newest 50 rows were asked for. Neither form can use an index.
    """
    row, mine = compiler.process(element.clauses, **kw), compiler.process(current_tenant(), **kw)
    return f"CASE WHEN {row} IS NULL THEN ({mine} IS NULL)::int ELSE ({row} = {mine})::int END <> 0"


@compiles(has_permission, "sqlite")
def _(element: has_permission, compiler: Any, **kw: Any) -> str:
    return f"corekit_permission({compiler.process(element.clauses, **kw)})"


@compiles(has_permission, "postgresql")
def _(element: has_permission, compiler: Any, **kw: Any) -> str:
    held = _setting("permissions")
    return f"coalesce({compiler.process(element.clauses, **kw)} = ANY (string_to_array({held}, ',')), false)"


@compiles(_Call, "postgresql")
def _(element: _Call, compiler: Any, **kw: Any) -> str:
    return f"{element.predicate.name}{compiler.process(element.clause_expr, **kw)}"


@compiles(_Call, "sqlite")
def _(element: _Call, compiler: Any, **_kw: Any) -> str:
    """Write the body in its place; `main.` reads the tables themselves, where the bare names are policed views."""
    return f"({render(element.predicate.body(*element.clauses), compiler.dialect, schema='main')})"


def _setting(name: str, cast: str = "") -> str:
    """Read one of the transaction's settings; in a sub-select, so that it is evaluated once and not for each row."""
    return f"(SELECT NULLIF(current_setting('corekit.{name}', true), ''){cast})"
