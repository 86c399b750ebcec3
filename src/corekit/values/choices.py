"""What is allowed at one place of a struct, for errors that say so."""

from collections.abc import Iterable
from typing import Any

import msgspec


def choices(type_: Any, path: Iterable[str]) -> str:
    """List the values that the field at `path` may have, where it is one of a few; otherwise an empty text."""
    info: Any = msgspec.inspect.type_info(type_)
    for part in path:
        info = _inside(info, part)
    if isinstance(info, msgspec.inspect.UnionType):
        info = next((one for one in info.types if isinstance(one, msgspec.inspect.LiteralType)), None)
    return ", ".join(map(str, info.values)) if isinstance(info, msgspec.inspect.LiteralType) else ""


def _inside(info: Any, part: str) -> Any:
    if isinstance(info, msgspec.inspect.StructType):
        return next((field.type for field in info.fields if field.encode_name == part), None)
    return getattr(info, "item_type", getattr(info, "value_type", None))
