"""The expand and contract rule: what a revision may not do while the code of the release before it still runs."""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace
from typing import Any

from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column

from corekit.data.revisions import Revisions

DIALECTS = ("sqlite", "postgresql")
PHASES = ("", "expand", "contract")
_INDEX = re.compile(
    r"\bcreate\s+(?:unique\s+)?index\s+(?!concurrently)(?:if\s+not\s+exists\s+)?\S+\s+on\s+(?:only\s+)?(\S+)",
    re.IGNORECASE,
)
_SQL = (  # what is written as text is held to the same rules
    (re.compile(r"\bdrop\s+(?:table|column|view)\b", re.IGNORECASE), "drops a table or column", True),
    (re.compile(r"\brename\s+(?:to|column|constraint)\b", re.IGNORECASE), "renames", False),
    (re.compile(r"\balter\s+(?:column\s+)?\S+\s+(?:set\s+data\s+)?type\b", re.IGNORECASE), "changes a type", False),
    (
        re.compile(r"\badd\s+column\b(?![^;]*\bdefault\b)[^;]*\bnot\s+null\b", re.IGNORECASE),
        "adds a column NOT NULL without a default",
        False,
    ),
    (re.compile(r"\bset\s+not\s+null\b", re.IGNORECASE), "makes a column NOT NULL", True),
    (
        re.compile(r"\b(?:set\s+(?:local\s+|session\s+)?|set_config\W+)lock_timeout\b", re.IGNORECASE),
        "sets lock_timeout",
        False,
    ),
)


def lint(revisions: Revisions) -> list[str]:
    """Read what each revision would do on each database, and name what it may not do."""
    found: dict[str, None] = {}
    for revision in revisions.in_order():
        phase = revisions.phase(revision)
        if phase not in PHASES:
            found[f"{revision}: phase is {phase!r}; it is 'expand', 'contract' or not there"] = None
        if not re.fullmatch(rf"{re.escape(revisions.branch(revision))}_\d{{4,}}", revision):
            found[
                f"{revision}: a revision is called after its branch, <plugin>_0001; branch_labels name the plugin"
            ] = None
        for dialect in DIALECTS:
            for problem in _problems(revisions.scripts[revision].module, dialect, contract=phase == "contract"):
                found[f"{revision}: {problem}"] = None
    return list(found)


def _problems(module: Any, dialect: str, *, contract: bool) -> Iterator[str]:
    try:
        operations = operations_of(module, dialect)
    except Exception as error:  # noqa: BLE001  # whatever it is, the author must know
        yield (
            f"cannot be read without a database ({type(error).__name__}: {error}); use `from alembic import op`, "
            "and SQL instead of rows that are fetched"
        )
        return
    made = {operation.table_name for operation in operations if isinstance(operation, ops.CreateTableOp)}
    for operation in operations:
        if getattr(operation, "table_name", None) not in made:
            yield from _judged(operation, dialect, contract=contract, made=made)


def _judged(operation: Any, dialect: str, *, contract: bool, made: set[str]) -> Iterator[str]:
    table = getattr(operation, "table_name", "")
    match operation:
        case ops.AddColumnOp(column=column):
            yield from _added(f"{table}.{column.name}", column)
        case ops.AlterColumnOp():
            yield from _altered(operation, contract=contract)
        case ops.RenameTableOp():
            yield f"renames {table}: make a new table, fill it, drop the old one two releases later"
        case ops.DropTableOp() | ops.DropColumnOp() if not contract:
            name = f"{table}.{operation.column_name}" if isinstance(operation, ops.DropColumnOp) else table
            yield f'drops {name}: the release before still uses it; if that is over, mark it `phase = "contract"`'
        case ops.CreateIndexOp() if dialect == "postgresql" and not operation.kw.get("postgresql_concurrently"):
            yield f"{_blocking(operation.index_name)}, postgresql_concurrently=True in an autocommit_block"
        case ops.CreateUniqueConstraintOp() if dialect == "postgresql":
            yield f"{_blocking(operation.constraint_name)}: make a unique index, postgresql_concurrently=True"
        case ops.ExecuteSQLOp():
            yield from _written(str(operation.sqltext), contract=contract, made=made)


def _added(name: str, column: Column[Any]) -> Iterator[str]:
    filled = column.server_default is not None or column.computed is not None or column.identity is not None
    if not column.nullable and not filled:
        yield f"adds {name} NOT NULL without a server_default: the release before cannot insert any more"
    if column.index or column.unique:
        yield f"adds {name} with an index: make the index by itself, postgresql_concurrently=True"


def _altered(operation: ops.AlterColumnOp, *, contract: bool) -> Iterator[str]:
    name = f"{operation.table_name}.{operation.column_name}"
    if operation.modify_name:
        yield f"renames {name}: add a column, fill it, drop the old one two releases later"
    if operation.modify_type is not None:
        yield f"changes the type of {name}: add a column of the new type, fill it, drop the old one two releases later"
    if operation.modify_nullable is False and not contract:
        yield f'makes {name} NOT NULL, which the release before may leave out; after that, mark it `phase = "contract"`'


def _written(sql: str, *, contract: bool, made: set[str]) -> Iterator[str]:
    for pattern, what, allowed in _SQL:
        if pattern.search(sql) and not (allowed and contract):
            yield f"{what} in SQL text: {' '.join(sql.split())[:80]}"
    for table in _INDEX.findall(sql):
        if table.partition("(")[0].strip('"') not in made:
            yield f"{_blocking('an index')} in SQL text: use CREATE INDEX CONCURRENTLY in an autocommit_block"


def _blocking(name: Any) -> str:
    return f"makes {name} on a table that is in use, which stops all writing"


def operations_of(module: Any, dialect: str) -> list[ops.MigrateOperation]:
    """Run `upgrade()` of a revision without a database; return what it would do."""
    context = MigrationContext.configure(dialect_name=dialect, opts={"as_sql": True, "output_buffer": StringIO()})
    recorder, real = Recorder(context), module.op
    module.op = recorder
    try:
        module.upgrade()
    finally:
        module.op = real
    return recorder.found


class Recorder(Operations):
    """Stands in for `alembic.op`: notes each operation, and does none."""

    def __init__(self, context: MigrationContext) -> None:
        super().__init__(context)
        self.found: list[ops.MigrateOperation] = []

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.found.append(operation)
        return operation.to_table(self.migration_context) if isinstance(operation, ops.CreateTableOp) else None

    def get_bind(self) -> Any:
        return _Bind(self)

    @contextmanager
    def batch_alter_table(self, table_name: str, *_: Any, **__: Any) -> Generator[BatchOperations]:
        impl: Any = SimpleNamespace(table_name=table_name, schema=None)
        batch = BatchOperations(self.migration_context, impl=impl)
        vars(batch)["invoke"] = self.invoke
        yield batch


class _Bind:
    """A connection that notes statements and finds no rows."""

    def __init__(self, recorder: Recorder) -> None:
        self.dialect = recorder.migration_context.dialect
        self._recorder = recorder

    def execute(self, statement: Any, *_: Any) -> "_NoRows":
        self._recorder.invoke(ops.ExecuteSQLOp(statement))
        return _NoRows()

    exec_driver_sql = execute

    def scalar(self, statement: Any, *_: Any) -> None:
        self.execute(statement)

    def scalars(self, statement: Any, *_: Any) -> "_NoRows":
        return self.execute(statement)


class _NoRows:
    """The result of a statement on an empty database."""

    rowcount = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def all(self) -> list[Any]:
        return []

    def first(self) -> None:
        return None

    one_or_none = scalar = scalar_one_or_none = first

    def mappings(self) -> "_NoRows":
        return self

    scalars = mappings
