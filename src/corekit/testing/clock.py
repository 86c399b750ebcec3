"""A clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at noon, 1 January 2030, UTC."""

    def __init__(self, now: datetime = datetime(2030, 1, 1, 12, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def move(self, seconds: float) -> None:
        """Move on."""
        self._now += timedelta(seconds=seconds)
