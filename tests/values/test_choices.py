"""Errors say what is allowed."""

from typing import Literal

import msgspec

from corekit.values import choices


class Inner(msgspec.Struct):
    """One."""

    style: Literal["json", "text"] | None = None
    size: int = 0


class Outer(msgspec.Struct):
    """With another in it."""

    inner: Inner
    several: list[Literal["a", "b"]]
    named: Literal["x"] = msgspec.field(name="name", default="x")


def test_the_values_of_a_field_are_found_by_its_path() -> None:
    assert choices(Outer, ["inner", "style"]) == "json, text"
    assert choices(Outer, ["several", "0"]) == "a, b"
    assert choices(Outer, ["name"]) == "x"


def test_a_field_with_any_value_has_no_choices() -> None:
    assert choices(Outer, ["inner", "size"]) == ""
    assert choices(Outer, ["nothing", "there"]) == ""
