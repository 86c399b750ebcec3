"""A process among several that share a limit: hits it all the time for a while, and tells how many passed."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from corekit.data import DatabaseSettings
from corekit.guard import Limits, Rule
from corekit.testing import make_kit

HOURLY = Rule("test.hourly", 40, 14_400, 40, "account")  # nothing comes back while the test runs
HITS = 30


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(database: DatabaseSettings, folder: Path, settings: dict[str, dict[str, str]]) -> None:
    """Say that all is up, wait for the start, hit, tell."""
    async with make_kit(database=database, tmp_path=folder, settings=settings) as kit:
        limits = kit.get(Limits)
        tell("up")
        await asyncio.to_thread(sys.stdin.readline)
        passed = [(await limits.hit(HOURLY, "somebody")).allowed for _ in range(HITS)]
        tell(str(sum(passed)))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    asyncio.run(main(msgspec.convert(given["database"], DatabaseSettings), Path(sys.argv[2]), given["settings"]))
