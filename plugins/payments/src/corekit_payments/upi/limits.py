"""What one UPI payment may be: rows of data with the day from which they hold, so that a change needs no release."""

import tomllib
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec

_INDIA = timezone(timedelta(hours=5, minutes=30))  # no summer time
_OTHERS = "merchant"
Paise = Annotated[int, msgspec.Meta(gt=0, lt=2**53)]


class LimitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one category from midnight in India of a day on, in paise; `per_day` is for 24 hours."""

    category: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$")]
    effective_from: date
    per_payment: Paise
    per_day: Paise | None = None
    mccs: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}(?!\n)$")], ...] = ()


class Limits:
    """The rows of the package, with those of the settings instead of or beside them.

    A row of the settings takes the place of that of the same category and day; without `mccs` it keeps its category's.
    """

    def __init__(self, overrides: Iterable[LimitRow] = ()) -> None:
        rows = {(row.category, row.effective_from): row for row in (*_packaged(), *overrides)}
        self._rows = sorted(rows.values(), key=lambda row: row.effective_from)
        self._categories = {mcc: row.category for row in self._rows for mcc in row.mccs}

    def category(self, mcc: str | None) -> str:
        """Name the category of a merchant category code; none, or one that no row names, is a merchant's."""
        return self._categories.get(mcc or "", _OTHERS)

    def at(self, moment: datetime, category: str) -> LimitRow | None:
        """Return the row that holds at a moment; None before the first, and where there is no such category."""
        held = [row for row in self._rows if row.category == category and _begins(row) <= moment]
        return held[-1] if held else None


def _begins(row: LimitRow) -> datetime:
    return datetime.combine(row.effective_from, time(), _INDIA)


@cache
def _packaged() -> tuple[LimitRow, ...]:
    text = resources.files("corekit_payments.upi").joinpath("limits.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["limit"], tuple[LimitRow, ...])
