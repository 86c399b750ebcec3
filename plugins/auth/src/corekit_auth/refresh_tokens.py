"""Refresh tokens, version 2: a session, a counter, a MAC; nothing about them is stored but the counter and the key."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from uuid import UUID

import msgspec

_VERSION = 0
_ID = 16
_MAC = 16
_CHECKSUM = 4
_LENGTHS = range(1 + _ID + 1 + _MAC + _CHECKSUM, 1 + _ID + 9 + _MAC + _CHECKSUM + 1)
_COUNTER_MAX = (1 << 63) - 1
_ALPHABET = bytes.maketrans(b"-_", b"+/")


class RefreshToken(msgspec.Struct, frozen=True):
    """A token as parsed: its checksum was right, its MAC is not known to be."""

    session_id: UUID
    counter: int
    mac: bytes

    def genuine(self, key: bytes) -> bool:
        """Tell whether the session's key made it."""
        return hmac.compare_digest(self.mac, _mac(key, _head(self.session_id, self.counter)))


def encode(session_id: UUID, counter: int, key: bytes) -> str:
    """Make the token: base64url of version, session id, counter, MAC and checksum, unpadded."""
    head = _head(session_id, counter)
    signed = head + _mac(key, head)
    return urlsafe_b64encode(signed + _checksum(signed)).decode().rstrip("=")


def parse(text: str) -> RefreshToken | None:
    """Read a token; None where it is not one."""
    raw = _bytes(text)
    if len(raw) not in _LENGTHS or raw[0] != _VERSION:
        return None
    signed, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if not hmac.compare_digest(checksum, _checksum(signed)):
        return None
    counter = _read_uvarint(signed[1 + _ID : -_MAC])
    return None if counter is None else RefreshToken(UUID(bytes=signed[1 : 1 + _ID]), counter, signed[-_MAC:])


def _bytes(text: str) -> bytes:
    """Decode strictly: one text per token, so that none of its variants passes."""
    try:
        raw = a2b_base64(text.encode("ascii").translate(_ALPHABET) + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        return b""
    return raw if urlsafe_b64encode(raw).decode().rstrip("=") == text else b""


def _head(session_id: UUID, counter: int) -> bytes:
    return bytes([_VERSION]) + session_id.bytes + _uvarint(counter)


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, head, "sha256")[:_MAC]


def _checksum(signed: bytes) -> bytes:
    return hashlib.sha256(signed).digest()[:_CHECKSUM]


def _uvarint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_uvarint(raw: bytes) -> int | None:
    """Read a number that fills `raw` exactly, in its shortest form."""
    number = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(raw))
    return number if number <= _COUNTER_MAX and _uvarint(number) == raw else None
