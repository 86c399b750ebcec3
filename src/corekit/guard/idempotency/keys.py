"""A key as a client sends it, and the fingerprint of the request that it came with."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from corekit.guard.idempotency.problems import IdempotencyKeyInvalid
from corekit.guard.idempotency.values import Claim

_KEY = re.compile(r"[!-~]{1,255}")  # visible ASCII
_SENT_MAX = 2 * 255 + 2  # each character escaped, between quotes
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')  # a string of RFC 9651 §3.3.3
_ESCAPED = re.compile(r"\\(.)")


@dataclass(slots=True)
class IdempotencyKey:
    """The key of one request, the fingerprint of what it asks, and, once that is committed, the claim that it has."""

    text: str
    fingerprint: bytes
    claim: Claim | None = None


def read_key(sent: str) -> str:
    """Read a key as it was sent, bare or quoted: `"abc"` is the key `abc` (IdempotencyKeyInvalid)."""
    text = sent.strip(" \t")
    if len(text) <= _SENT_MAX and text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        text = _ESCAPED.sub(r"\1", quoted[1]) if quoted else ""
    if not _KEY.fullmatch(text):
        raise IdempotencyKeyInvalid("1 to 255 visible ASCII characters, bare or in double quotes")
    return text


def fingerprint(method: str, path: str, body: Any = None) -> bytes:
    """Hash a request with SHA-256; a `body` that is no bytes is taken as JSON with sorted keys."""
    plain = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    return _hash(method.upper().encode(), path.encode(), plain)


def row_id(tenant: UUID | None, principal: UUID, key: str) -> UUID:
    """Name the row of a key: one for each principal in each tenant. SQL would hold two keys of no tenant for two."""
    return UUID(bytes=_hash(tenant.bytes if tenant else b"", principal.bytes, key.encode())[:16])


def _hash(*parts: bytes) -> bytes:
    """Hash parts with their lengths, so that nothing can be moved from one into the next."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
