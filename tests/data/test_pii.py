"""Personal data is marked beside its column; whoever must know walks the marks."""

import re
from typing import Annotated
from uuid import UUID

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit.assembly import discover
from corekit.data import PII, Base
from corekit.data.pii import marked

# Names under which personal data usually hides; a new column that looks like one needs a mark, or its place below.
PERSONAL = re.compile(
    r"(^|_)(e?mail|phone|name|title|text|body|address|ip|agent|device|city|birth|actor|usr|user|user_id|sender"
    r"|owner|created_by|metadata|payload|error|data)($|_)"
)
NOT_PERSONAL = {
    ("corekit_plugin", "name"): "of a plugin",
    ("corekit_policy", "name"): "of a table or a function",
    ("corekit_job", "owner"): "the worker that holds the lease",
    ("auth_users", "app_metadata"): "which ways to sign in there are; written by the server alone",
}


class Other(DeclarativeBase):
    """A registry of its own."""

    metadata = MetaData()


class PersonRow(Other):
    """Marked in every way that a column can be written."""

    __tablename__ = "test_person"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    mail: Mapped[Annotated[str, PII("email")]]
    phone: Mapped[Annotated[str | None, PII("phone", subject="id")]] = mapped_column(unique=True)
    nick: Mapped[Annotated[str, PII("name")] | None]
    shoes: Mapped[int]


def test_marks_are_found_however_they_are_written() -> None:
    assert sorted(marked(Other.registry), key=str) == [
        ("test_person", "mail", PII("email")),
        ("test_person", "nick", PII("name")),
        ("test_person", "phone", PII("phone", subject="id")),
    ]


def test_every_column_that_looks_personal_is_marked() -> None:
    """A column that says whose data a row holds is known as the subject of the others."""
    discover(None)
    known = {(table, name) for table, column, mark in marked(Base.registry) for name in (column, mark.subject)}
    suspects = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if PERSONAL.search(column.name) and not column.name.endswith("_at")
    }
    assert suspects
    assert suspects - known - set(NOT_PERSONAL) == set()


def test_every_mark_names_a_column_of_its_table_as_subject() -> None:
    discover(None)
    columns = {table.name: set(table.columns.keys()) for table in Base.metadata.tables.values()}
    wrong = [
        (table, column, mark.subject)
        for table, column, mark in marked(Base.registry)
        if mark.subject not in columns[table]
    ]
    assert wrong == []
