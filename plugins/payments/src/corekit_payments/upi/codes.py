"""What a code of UPI means for an operation; of one that is not known nothing is concluded but what its sender says."""

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from corekit.contracts.payments import ErrorClass

CodeState = Literal["succeeded", "pending", "unknown", "failed"]
Then = Literal["poll", "look_up", "reconcile"]


class CodeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code: the state that it alone proves, and what is to be done where that is none."""

    code: str
    meaning: str
    state: CodeState
    error: ErrorClass | None = None
    then: Then | None = None

    def __post_init__(self) -> None:
        """Refuse a row that says less or more than its state needs (ValueError)."""
        if (self.error is not None) != (self.state == "failed"):
            raise ValueError("an error class goes with failed, and failed with one")
        if (self.then is not None) != (self.state in {"pending", "unknown"}):
            raise ValueError("what is not decided says what to do, and nothing else does")


def outcome(code: str, *, failed: bool) -> CodeRow:
    """Say what a code means; `failed` is whether the provider itself calls the payment failed.

    An unknown code is `failed(other)` where the provider says so, else `unknown` and looked up.
    """
    known = table().get(code.strip().upper())
    if known is not None:
        return known
    if failed:
        return CodeRow(code=code, meaning="not in the table", state="failed", error="other")
    return CodeRow(code=code, meaning="not in the table", state="unknown", then="look_up")


@cache
def table() -> dict[str, CodeRow]:
    """Return every row by its code."""
    text = resources.files("corekit_payments.upi").joinpath("codes.toml").read_text("utf-8")
    rows = msgspec.convert(tomllib.loads(text)["code"], list[CodeRow])
    return {row.code: row for row in rows}
