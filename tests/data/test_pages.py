"""Cursors of lists of rows: what is none is refused, whatever it holds."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import column

from corekit.data.pages import newest_cursor, older
from corekit.errors import Invalid
from corekit.values import encode_cursor

ID = UUID("0199f3c2-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        encode_cursor(1),
        encode_cursor(1, "no id"),
        encode_cursor("1", str(ID)),
        encode_cursor(2**61, str(ID)),  # the year 73,000
        encode_cursor(-(2**61), str(ID)),
    ],
)
def test_what_is_no_moment_and_id_is_refused(cursor: str) -> None:
    """Red when a moment that no calendar has ends in an error of the server's."""
    with pytest.raises(Invalid) as caught:
        older(column("created_at"), column("id"), cursor)
    assert caught.value.extensions == {"pointer": "/cursor"}


def test_a_cursor_names_the_place_after_its_row() -> None:
    at = datetime(2030, 1, 1, 12, 0, 0, 1, tzinfo=UTC)
    asked = older(column("created_at"), column("id"), newest_cursor(at, ID))
    assert str(asked) == "created_at < :created_at_1 OR created_at = :created_at_2 AND id < :id_1"
    assert list(asked.compile().params.values()) == [at, at, ID]
