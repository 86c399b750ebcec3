"""Pages of a list: keyset cursors that the client does not look into."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Generic, TypeVar, cast

import msgspec

from corekit.errors import Invalid

T = TypeVar("T")
_INT_MAX = 2**62  # no key of ours is near what a database can hold


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page: its items, and the cursor of the next one (null at the end)."""

    items: list[T]
    next: str | None = None


def encode_cursor(*keys: int | str) -> str:
    """Pack the last row's keys into an opaque, URL-safe text."""
    return urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


def decode_cursor(text: str, type_: type[T], *, pointer: str = "cursor") -> T:
    """Unpack a cursor into the type that `encode_cursor` was given, a tuple.

    Raises:
        Invalid: the text is not a cursor of this list.

    """
    try:
        keys = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=type_)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        keys = None
    if not isinstance(keys, tuple) or any(isinstance(key, int) and abs(key) > _INT_MAX for key in keys):
        raise Invalid("not a cursor of this list", pointer=pointer)
    return cast("T", keys)
