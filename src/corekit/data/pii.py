"""Marks on columns that hold personal data: declared once beside the column, read by everything that must know."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from sqlalchemy.orm import Mapped, registry

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


def marked(tables: registry) -> Iterator[tuple[str, str, PII]]:
    """Walk the mapped classes; yield (table, column, mark)."""
    for mapper in tables.mappers:
        for name, hint in get_type_hints(mapper.class_, include_extras=True).items():
            for mark in _marks(hint):
                yield mapper.local_table.description, name, mark


def _marks(hint: Any) -> Iterator[PII]:
    if get_origin(hint) is Annotated:
        yield from (extra for extra in hint.__metadata__ if isinstance(extra, PII))
    elif get_origin(hint) is Mapped or get_args(hint):
        for inner in get_args(hint):
            yield from _marks(inner)
