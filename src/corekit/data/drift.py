"""Drift: what the database has that the models do not say, or the other way round."""

from collections.abc import Collection
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table

from corekit.data.base import Base
from corekit.data.revisions import CORE, VERSION_TABLE


def drift(connection: Connection, ours: Collection[str], everybody: Collection[str]) -> list[str]:
    """Compare the tables of these branches with their models; `everybody` tells whose the others are.

    Tables of nobody, a host's own for example, are left alone.
    """

    def include(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        table = name if kind == "table" else thing.table.name
        return _owner(str(table), everybody) in ours

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_object": include,
        "version_table": VERSION_TABLE,
    }
    context = MigrationContext.configure(connection, opts=options)
    return [f"drift: {_sentence(one)}" for one in _flat(compare_metadata(context, Base.metadata))]


def _owner(table: str, everybody: Collection[str]) -> str:
    """Find whose table it is by its prefix; of `chat` and `chat_poll` the longer one."""
    prefixes = {("corekit" if name == CORE else name) + "_": name for name in everybody}
    found = max((prefix for prefix in prefixes if table.startswith(prefix)), key=len, default="")
    return prefixes.get(found, "")


def _flat(found: Any) -> list[tuple[Any, ...]]:
    """Alembic groups the changes of one column in a list of their own."""
    return [one for entry in found for one in (_flat(entry) if isinstance(entry, list) else [entry])]


def _sentence(change: tuple[Any, ...]) -> str:
    """Write ("modify_type", None, "chat_member", "role", …) or ("add_index", Index(…)) for a person."""
    kind, *rest = change
    if isinstance(rest[0], Table):
        where = rest[0].name
    elif hasattr(rest[0], "table"):
        where = f"{rest[0].table.name}.{rest[0].name}"
    else:
        _, table, column, *_ = rest
        where = f"{table}.{getattr(column, 'name', column)}"
    said = kind.replace("_", " ")
    return (
        f"{where}: the models say {said}"
        if kind.startswith(("add", "modify"))
        else f"{where}: only in the database ({said})"
    )
