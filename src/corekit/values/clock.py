"""Time: aware UTC, from a clock that tests replace."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a kit reads the time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Write a time for the wire: RFC 3339 with `Z` and microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
