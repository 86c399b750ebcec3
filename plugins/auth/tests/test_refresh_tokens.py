"""The codec of refresh tokens: what it makes it reads, and nothing else."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit_auth.refresh_tokens import _checksum, encode, parse

SESSION = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
KEY = bytes(range(32))
COUNTERS = st.integers(0, (1 << 63) - 1)


@given(st.uuids(), COUNTERS, st.binary(min_size=32, max_size=32))
def test_what_is_made_is_read(session: UUID, counter: int, key: bytes) -> None:
    token = parse(encode(session, counter, key))
    assert token is not None
    assert (token.session_id, token.counter) == (session, counter)
    assert token.genuine(key)
    assert not token.genuine(bytes(32) if key != bytes(32) else KEY)


@pytest.mark.parametrize(("counter", "length"), [(0, 38), (127, 38), (128, 39), ((1 << 63) - 1, 46)])
def test_it_is_as_long_as_its_counter_needs(counter: int, length: int) -> None:
    text = encode(SESSION, counter, KEY)
    assert len(urlsafe_b64decode(text + "=" * (-len(text) % 4))) == length
    assert "=" not in text


@given(COUNTERS, st.integers(0, 60), st.characters(codec="ascii"))
def test_no_changed_text_is_a_token(counter: int, place: int, char: str) -> None:
    """Not even one that decodes to the same bytes."""
    text = encode(SESSION, counter, KEY)
    changed = text[:place] + char + text[place + 1 :]
    if changed != text:
        assert parse(changed) is None


@given(st.one_of(st.text(max_size=70), st.binary(max_size=50).map(lambda raw: urlsafe_b64encode(raw).decode())))
def test_nothing_else_is_a_token(text: str) -> None:
    assert parse(text) is None


@given(st.binary(min_size=33, max_size=42))
def test_a_right_checksum_does_not_make_a_number(body: bytes) -> None:
    """Whoever computes the checksum still needs a well-formed head; what parses is written the same way again."""
    signed = b"\0" + body
    text = urlsafe_b64encode(signed + _checksum(signed)).decode().rstrip("=")
    if (token := parse(text)) is not None:
        assert encode(token.session_id, token.counter, b"")[: 23 + 1][:22] == text[:22]
        assert not token.genuine(KEY)


@pytest.mark.parametrize(
    "varint",
    [b"\x80\x00", b"\xff\x00", b"\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x01\x01"],
    ids=["long zero", "long 127", "unfinished", "too large", "two numbers"],
)
def test_a_number_has_one_form(varint: bytes) -> None:
    signed = b"\0" + SESSION.bytes + varint + bytes(16)
    assert parse(urlsafe_b64encode(signed + _checksum(signed)).decode().rstrip("=")) is None
