"""Personal data is marked beside its column; whoever must know walks the marks."""

import re
from typing import Annotated
from uuid import UUID

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit.assembly import discover
from corekit.data import PII, Base, Encrypted
from corekit.data.pii import marked, personal
from corekit.errors import PluginError

# Names under which personal data usually hides; a new column that looks like one needs a mark, or its place below.
PERSONAL = re.compile(
    r"(^|_)(e?mail|phone|name|title|text|body|address|ip|agent|device|city|street|location|birth|gender|nick|bio|avatar|vpa"
    r"|actor|usr|user|user_id|sender|owner|created_by|metadata|payload|error|data)($|_)"
)
NOT_PERSONAL = {
    ("corekit_plugin", "name"): "of a plugin",
    ("corekit_policy", "name"): "of a table or a function",
    ("corekit_job", "owner"): "the worker that holds the lease",
    ("auth_users", "email_change_status"): "how many confirmations there were",
    ("auth_service_keys", "name"): "of a service",
    ("payments_operation", "error_class"): "one of a few words",
    ("payments_webhook_inbox", "error"): "one of a few words",
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


class Renamed(DeclarativeBase):
    """Another registry."""

    metadata = MetaData()


class RenamedRow(Renamed):
    """Its column is not called as its attribute."""

    __tablename__ = "test_renamed"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[UUID]
    phone: Mapped[Annotated[str, PII("phone", subject="owner")]] = mapped_column("tel")


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


def test_what_is_encrypted_for_a_person_is_marked_as_theirs() -> None:
    discover(None)
    marks = {(found.table.name, found.column.name): found.mark for found in personal(Base.registry)}
    for table in Base.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, Encrypted) and column.type.subject:
                assert marks[table.name, column.name].subject == column.type.subject


def test_an_export_or_an_erasure_finds_each_column_and_whose_it_is() -> None:
    """Every mark of every installed plugin names a column of its table as subject, or this raises."""
    discover(None)
    found = {(one.table.name, one.column.name): one.subject.name for one in personal(Base.registry)}
    assert found["auth_users", "email"] == "id"
    assert found["auth_sessions", "ip"] == "user_id"
    assert found["corekit_dek", "subject"] == "subject"
    assert found.keys() == {(table, column) for table, column, _ in marked(Base.registry)}


def test_a_mark_whose_subject_is_no_column_is_refused() -> None:
    with pytest.raises(PluginError, match=r"test_person.mail: PII\(subject='user_id'\) names no column of its table"):
        list(personal(Other.registry))


def test_a_column_may_be_called_otherwise_than_its_attribute() -> None:
    (found,) = personal(Renamed.registry)
    assert (found.table.name, found.column.name, found.subject.name) == ("test_renamed", "tel", "owner")
