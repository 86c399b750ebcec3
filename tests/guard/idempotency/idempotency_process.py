"""A process that serves the shop and kills itself at a named place of the first request.

`python idempotency_process.py DATABASE FOLDER WHERE`; it prints its address. `rendered` is before the reply is stored,
`stored` before it is sent.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

from idempotency_shop import Shop, opened  # beside this file

from corekit.data import DatabaseSettings
from corekit.guard import Idempotency
from corekit.testing import serve


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(database: DatabaseSettings, folder: Path, where: str) -> None:
    """Serve until killed."""
    finish = Idempotency.finish

    async def dying(*given: Any) -> None:
        if where == "rendered":
            die()
        await finish(*given)
        if where == "stored":
            die()

    Idempotency.finish = dying  # type: ignore[method-assign]  # where the guard calls it
    async with opened(Shop(dies_at=where), database, folder, idempotency={"lease": 3}) as kit, serve(kit) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=DatabaseSettings), Path(sys.argv[2]), sys.argv[3]))
