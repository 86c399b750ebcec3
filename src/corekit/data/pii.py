"""Marks on columns that hold personal data: declared once beside the column, read by everything that must know."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapped, registry

from corekit.errors import PluginError

Category = Literal[
    "name",
    "email",
    "phone",
    "address",
    "ip",
    "device",
    "location",
    "content",
    "payment",
    "biometric",
    "free_text",
    "id",
]


class PII(msgspec.Struct, frozen=True):
    """`Mapped[Annotated[str, PII("email")]]`: this column says something of a person.

    `subject` is the column that names the person whose data it is.
    """

    category: Category
    subject: str = "user_id"


class Personal(NamedTuple):
    """A marked column, and the column of the same table that names the person whose data it is."""

    table: Table
    column: Column[Any]
    mark: PII
    subject: Column[Any]


def personal(tables: registry) -> Iterator[Personal]:
    """Walk everything that the tables say of people: what an export must give, and an erasure take.

    Raises:
        PluginError: a mark's subject is no column of its table, so nobody could find whose data it is.

    """
    for mapper in sorted(tables.mappers, key=lambda mapper: str(mapper.local_table.description)):
        table = mapper.local_table
        for name, mark in _of(mapper.class_):
            column = mapper.columns.get(name)
            if not isinstance(table, Table) or column is None or column.table is not table:  # its base's row says it
                continue
            subject = table.columns.get(mark.subject)
            if subject is None:
                raise PluginError(f"{table.name}.{name}: PII(subject={mark.subject!r}) names no column of its table")
            yield Personal(table, column, mark, subject)


def marked(tables: registry) -> Iterator[tuple[str, str, PII]]:
    """Walk the mapped classes; yield (table, column, mark)."""
    for mapper in tables.mappers:
        for name, mark in _of(mapper.class_):
            yield mapper.local_table.description, name, mark


def _of(class_: type[Any]) -> Iterator[tuple[str, PII]]:
    for name, hint in get_type_hints(class_, include_extras=True).items():
        for mark in _marks(hint):
            yield name, mark


def _marks(hint: Any) -> Iterator[PII]:
    if get_origin(hint) is Annotated:
        yield from (extra for extra in hint.__metadata__ if isinstance(extra, PII))
    elif get_origin(hint) is Mapped or get_args(hint):
        for inner in get_args(hint):
            yield from _marks(inner)
