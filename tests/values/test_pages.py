"""Cursors: opaque, URL-safe, and refused where they are of another list."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.errors import Invalid
from corekit.values import SystemClock, decode_cursor, encode_cursor, rfc3339


@given(st.text(), st.integers(-(2**62), 2**62))
def test_a_cursor_is_read_back(text: str, number: int) -> None:
    cursor = encode_cursor(text, number)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")
    assert decode_cursor(cursor, tuple[str, int]) == (text, number)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        "a",
        encode_cursor(1),
        encode_cursor("x", "y"),
        encode_cursor(1, 2, 3),
        encode_cursor("x", 2**63),
        urlsafe_b64encode(b"{").decode(),
    ],
)
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="not a cursor of this list") as caught:
        decode_cursor(cursor, tuple[str, int], pointer="/cursor")
    assert caught.value.extensions == {"pointer": "/cursor"}


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        decode_cursor(text, tuple[str, int])
    except Invalid:
        return


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=5, minutes=30))), min_value=datetime(2, 1, 1)))  # noqa: DTZ001  # hypothesis wants it naive
def test_times_are_written_in_utc_with_microseconds(moment: datetime) -> None:
    text = rfc3339(moment)
    assert len(text) == len("2030-01-01T12:00:00.000000Z")
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == moment


def test_the_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
