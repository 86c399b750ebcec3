"""Lengths of time as the protocol writes them: Go's, `1h30m`."""

import re
from datetime import timedelta

from corekit_auth.errors import ValidationFailed

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_TEXT_MAX = 64
_LONGEST = 100 * 366 * 86_400


def duration(text: str, field: str) -> timedelta:
    """Read a length of time above nothing, at most a hundred years.

    Raises:
        ValidationFailed: naming the field and the form.

    """
    if len(text) <= _TEXT_MAX and _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if 0 < seconds <= _LONGEST:
            return timedelta(seconds=seconds)
    raise ValidationFailed(f"{field}: a positive duration of at most 100 years such as 24h, 1h30m or 45s, or none")
