"""Go's lengths of time."""

from datetime import timedelta

import pytest

from corekit_auth.durations import duration
from corekit_auth.errors import ValidationFailed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("1.5h", 5400), ("45s", 45), ("300ms", 0.3), ("1m1s", 61), ("2000us", 0.002)],
)
def test_what_is_one(text: str, seconds: float) -> None:
    assert duration(text, "ban_duration") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "0s", "1d", "1 h", "1h ", "24H", "1e3h", "9999999h", "٣h", "1h" * 40, "1..5h"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValidationFailed, match=r"^ban_duration: a positive duration"):
        duration(text, "ban_duration")
