"""Keys as they are sent, and fingerprints."""

from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit.guard.idempotency import IdempotencyKeyInvalid, fingerprint, read_key
from corekit.guard.idempotency.keys import row_id

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
NIL = UUID(int=0)


@given(VISIBLE)
def test_a_quoted_key_is_the_bare_one(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert read_key(quoted) == read_key(f" \t{quoted} ") == key
    if not key.startswith('"'):
        assert read_key(key) == key


@given(st.text(max_size=300))
def test_nothing_else_is_a_key(sent: str) -> None:
    with suppress(IdempotencyKeyInvalid):
        key = read_key(sent)
        assert 1 <= len(key) <= 255
        assert all("!" <= character <= "~" for character in key)


@pytest.mark.parametrize("sent", ["", " ", '"', '""', '"a', "a b", '"a b"', '"a\\b"', '"\\"', "a\n", "ä", "a" * 256])
def test_malformed(sent: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        read_key(sent)


def test_a_fingerprint_is_of_method_path_and_body() -> None:
    same = [("POST", "/a", {"x": 1, "y": {"b": 2, "a": 1}}), ("post", "/a", {"y": {"a": 1, "b": 2}, "x": 1})]
    assert len({fingerprint(*request) for request in same}) == 1
    others = [("PUT", "/a", {}), ("POST", "/a", {}), ("POST", "/", {}), ("POST", "/a{", b"}"), ("POST", "/a", b"")]
    assert len({fingerprint(*request) for request in others}) == len(others)
    assert len(fingerprint("POST", "/a")) == 32


def test_a_row_is_of_one_tenant_one_principal_and_one_key() -> None:
    ann, tenant = uuid4(), uuid4()
    scopes = [(None, ann, "k"), (tenant, ann, "k"), (NIL, ann, "k"), (None, tenant, "k"), (ann, tenant, "k")]
    assert len({row_id(*scope) for scope in [*scopes, (None, ann, "K")]}) == 6
    assert row_id(tenant, ann, "k") == row_id(tenant, ann, "k")
