"""Ids: UUIDv7 in the database (RFC 9562 §5.7), TypeID text on the wire (TypeID 0.3: prefix + 26 base32 characters)."""

import os
import random
import time
from uuid import UUID

from corekit.errors import Invalid

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]  # ten bits at a time: half the steps
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_LENGTH = 26


def uuid7(unix_ms: int | None = None) -> UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, the rest random."""
    stamp = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    noise = int.from_bytes(os.urandom(10))
    return UUID(int=(stamp & (1 << 48) - 1) << 80 | 7 << 76 | (noise >> 68) << 64 | 2 << 62 | noise & (1 << 62) - 1)


def trace_id() -> str:
    """Make the text of a UUIDv7 for what may be guessed: the id of a request. Its noise costs no system call."""
    noise = random.getrandbits(74)  # no secret
    stamp, high, low = time.time_ns() // 1_000_000, noise >> 62, noise & (1 << 62) - 1
    digits = f"{stamp & (1 << 48) - 1:012x}{7 << 12 | high:04x}{2 << 62 | low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def typeid(prefix: str, value: UUID) -> str:
    """Write an id for the wire: `typeid("usr", u)` is `usr_` and 26 characters."""
    number = value.int
    return prefix + "_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def parse_id(prefix: str, text: str, *, pointer: str = "") -> UUID:
    """Read an id in either form, TypeID with this prefix or plain UUID.

    Raises:
        Invalid: naming `pointer` and what is allowed.

    """
    try:
        return _decode(text[len(prefix) + 1 :]) if text.startswith(prefix + "_") else _plain(text)
    except (ValueError, KeyError):
        raise Invalid(f"not an id: expected {prefix}_… or a UUID", pointer=pointer) from None


def _decode(suffix: str) -> UUID:
    if len(suffix) != _LENGTH or suffix[0] > "7":
        raise ValueError(suffix)
    number = 0
    for char in suffix:
        number = number << 5 | _VALUES[char]
    return UUID(int=number)


def _plain(text: str) -> UUID:
    if len(text) != len(str(UUID(int=0))):
        raise ValueError(text)
    value = UUID(text)
    if str(value) != text.lower():  # it reads more forms than one
        raise ValueError(text)
    return value
