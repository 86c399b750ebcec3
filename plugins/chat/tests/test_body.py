"""Bodies: what is taken, and in which form."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.errors import Invalid
from corekit_chat.body import body_hash, clean_body
from corekit_chat.errors import MessageTooLarge

MAX = 16_384


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("hello", "hello"),
        ("a\tb\nc", "a\tb\nc"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("nul\x00bell\x07del\x7fc1\x85", "nulbelldelc1"),
        ("e\u0301", "\u00e9"),
        ("\u202eright", "\u202eright\u202c"),
        ("\u2067iso\u202elate", "\u2067iso\u202elate\u202c\u2069"),
        ("\u2066closed\u2069", "\u2066closed\u2069"),
        ("\u202a\u2066\u202cstill open", "\u202a\u2066\u202cstill open\u2069\u202c"),
        ("\u202eends with its line\nfree", "\u202eends with its line\nfree"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_stored_form(body: str, stored: str) -> None:
    assert clean_body("text", body, MAX) == stored


@pytest.mark.parametrize("body", ["", " \n\t", "\x00", "a\ud800b"])
def test_refused(body: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_body("text", body, MAX)
    assert caught.value.extensions["pointer"] == "/body"


@pytest.mark.parametrize("body", ["a" * MAX, "é" * (MAX // 2), "e\u0301" * (MAX // 2)])
def test_as_much_as_fits(body: str) -> None:
    assert len(clean_body("text", body, MAX).encode()) == MAX


@pytest.mark.parametrize("body", ["a" * (MAX + 1), "é" * (MAX // 2 + 1), "a" * 10 * MAX])
def test_too_large(body: str) -> None:
    with pytest.raises(MessageTooLarge) as caught:
        clean_body("text", body, MAX)
    assert (caught.value.status, caught.value.code, caught.value.extensions["max_length"]) == (413, 1005, MAX)


def test_ciphertext_is_base64_and_stays() -> None:
    assert clean_body("ciphertext", "aGVsbG8=", MAX) == "aGVsbG8="
    for body in ("not base64!", "aGVsbG8=\n", ""):
        with pytest.raises(Invalid):
            clean_body("ciphertext", body, MAX)


@given(st.text(min_size=1, max_size=200))
def test_cleaning_again_changes_nothing(body: str) -> None:
    try:
        cleaned = clean_body("text", body, MAX)
    except Invalid:
        return
    assert clean_body("text", cleaned, MAX) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not [char for char in cleaned if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t"]


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_fingerprint_tells_bodies_apart(one: str, other: str) -> None:
    assert (body_hash("text", one, None) == body_hash("text", other, None)) == (one == other)
    assert body_hash("text", one, None) != body_hash("ciphertext", one, None)
