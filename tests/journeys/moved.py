"""`corekit` on a clock that is as many seconds ahead as a file says: `python moved.py FILE serve …`."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from corekit.cli import main
from corekit.values import SystemClock


class MovedClock(SystemClock):
    """The machine's clock, and what the file adds."""

    ahead = Path(sys.argv.pop(1))

    def now(self) -> datetime:
        """Read both."""
        return datetime.now(UTC) + timedelta(seconds=float(self.ahead.read_text() or 0))


SystemClock.now = MovedClock().now  # type: ignore[method-assign]
main()
