"""One listener of 50 that stops reading, at 2,000 messages a second: what the others notice.

`uv run python benchmarks/stalled.py`; with and without, in turns: the server's CPU time for each delivery, whether the
others heard everything, and how long after the last message the last of them had it. Goal: no difference.
"""

import argparse
import asyncio
import re
import time
from statistics import median

from gateway import served
from listeners import OPENERS, Listener, go
from served_auth import pin

LISTENERS = 50
ASKED = {"messages": 10_000, "burst": 20, "pause": 0.01}


async def talk(*, stalled: bool) -> tuple[float, float]:
    """Return CPU microseconds for each delivery to the others, and the milliseconds that the last one was late."""
    async with served("corekit") as (port, _):
        sockets: list[Listener] = [await OPENERS["corekit"](port) for _ in range(LISTENERS + 1)]
        witness, *others, last = sockets
        for socket in others:
            socket.keeps = False
        if stalled:
            last.transport.pause_reading()
        else:
            last.keeps = False
            others.append(last)
        witness.send(go("corekit", ASKED))
        heard = await witness.hears(b"spent")
        ended = time.monotonic()
        async with asyncio.timeout(60):
            while not all(socket.marks == ASKED["messages"] for socket in [witness, *others]):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        late = time.monotonic() - ended
        spent = float(re.findall(rb'"spent":\s*([0-9.e-]+)', heard)[0])
        return 1e6 * spent / ((len(others) + 1) * ASKED["messages"]), 1000 * late


async def main(rounds: int) -> None:
    """Take turns, and print medians."""
    pin(1)
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for _ in range(rounds):
        for stalled, rows in found.items():
            rows.append(await talk(stalled=stalled))
    for stalled, rows in found.items():
        spent, late = (median(values) for values in zip(*rows, strict=True))
        print(f"{'one stalled' if stalled else 'all reading':<12} {spent:6.3f} µs each, the last {late:5.1f} ms late")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each (3)")
    asyncio.run(main(parser.parse_args().rounds))
