"""Ids: UUIDv7 inside, TypeID outside, both accepted."""

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.errors import Invalid
from corekit.values import parse_id, trace_id, typeid, uuid7


@given(st.uuids(), st.sampled_from(["usr", "msg", "cnv"]))
def test_both_forms_are_read_back(value: UUID, prefix: str) -> None:
    text = typeid(prefix, value)
    assert len(text) == len(prefix) + 27
    assert parse_id(prefix, text) == parse_id(prefix, str(value)) == parse_id(prefix, str(value).upper()) == value


@given(st.uuids(), st.uuids())
def test_texts_sort_as_ids_do(one: UUID, other: UUID) -> None:
    assert (typeid("x", one) < typeid("x", other)) == (one.int < other.int)


def test_the_form_is_that_of_the_specification() -> None:
    """The examples of TypeID 0.3 (spec/valid.yml)."""
    assert typeid("prefix", UUID("0188bac7-4afa-78aa-bc3b-bd1eef28d881")) == "prefix_01h2xcejqtf2nbrexx3vqjhp41"
    assert typeid("x", UUID(int=2**128 - 1)) == "x_7zzzzzzzzzzzzzzzzzzzzzzzzz"
    assert typeid("x", UUID(int=0)) == "x_00000000000000000000000000"


GOOD = "01h2xcejqtf2nbrexx3vqjhp41"
PLAIN = "0188bac7-4afa-78aa-bc3b-bd1eef28d881"


@pytest.mark.parametrize(
    "text",
    [
        *("", "usr_", "usr", f"msg_{GOOD}", f"USR_{GOOD}", GOOD, f"usr_{GOOD}0", f"usr_{GOOD[1:]}", f"usr_8{GOOD[1:]}"),
        *(f"usr_{GOOD.upper()}", f"usr_{GOOD[:-1]}u", f"usr_{GOOD[:-1]}é", f"usr_{PLAIN}", f" {PLAIN[1:]}"),
        *(PLAIN.replace("-", ""), f"{{{PLAIN}}}", f"urn:uuid:{PLAIN}", "0188bac74afa78aabc3bbd1eef28d881----"),
        *(PLAIN.replace("b", "_"), PLAIN[:-1] + "g", PLAIN[:-1] + "٣"),
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    with pytest.raises(Invalid, match=r"not an id: expected usr_… or a UUID") as caught:
        parse_id("usr", text, pointer="/user")
    assert caught.value.body()["pointer"] == "/user"


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        value = parse_id("usr", text)
    except Invalid:
        return
    assert text.lower() in {typeid("usr", value), str(value)}


@given(st.integers(0, 2**48 - 1))
def test_a_uuid7_begins_with_its_time(millisecond: int) -> None:
    value = uuid7(millisecond)
    assert (value.version, value.variant, value.int >> 80) == (7, RFC_4122, millisecond)


def test_the_id_of_a_request_is_the_text_of_a_uuid7() -> None:
    before, made, after = uuid7(), {trace_id() for _ in range(2000)}, time.time_ns() // 1_000_000
    assert len(made) == 2000
    for text in made:
        value = UUID(text)
        assert (str(value), value.version, value.variant) == (text, 7, RFC_4122)
        assert before.int >> 80 <= value.int >> 80 <= after


def test_uuid7s_differ_and_grow() -> None:
    made = [uuid7() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert uuid7(1) < uuid7(2) < uuid7()
