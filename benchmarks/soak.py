"""A soak: a crowd that talks, calls, falls off and comes back for half an hour; the server's memory has to stay flat.

`uv run python benchmarks/soak.py`; each second one client in a hundred loses its connection. Prints the memory of the
server's process once a minute, and at the end how much it grew after the first five minutes. Goals: at most 5 %, no
message missed or heard twice.
"""

import argparse
import asyncio
import random
import time

from crowd import Client, served
from gateway import resident
from served_auth import cpu_seconds

WARM_UP = 300.0  # seconds, or a sixth of a shorter run
RATE, CUT_EACH_SECOND = 50.0, 0.01
MEBIBYTE = 1 << 20


async def main(count: int, minutes: float) -> None:
    """Gather, go on, measure."""
    async with served() as (port, pid):
        crowd = [Client(number, port) for number in range(count)]
        witness = Client(0, port)
        await asyncio.gather(*(client.back.wait() for client in [*crowd, witness]))
        await witness.ask("rpc", {"method": "crowd.pace", "data": {"rate": RATE}}, 900)
        began, seen, said = time.monotonic(), [], 0.0
        while (now := time.monotonic() - began) < minutes * 60:
            for client in random.sample(crowd, max(1, round(count * CUT_EACH_SECOND))):
                client.cut()
            await witness.ask("rpc", {"method": "crowd.echo", "data": {"rate": 1}}, 1000 + len(seen))
            if now >= said:
                said += 60
                await witness.ask("rpc", {"method": "crowd.collect", "data": {"rate": 1}}, 902)
            seen.append((now, resident(pid)))
            if len(seen) == 1 or seen[-2][0] // 60 < now // 60:
                print(f"{now / 60:4.0f} min  {seen[-1][1] / MEBIBYTE:6.1f} MiB  {cpu_seconds(pid):6.1f} s", flush=True)
            await asyncio.sleep(1)
        await witness.ask("rpc", {"method": "crowd.pace", "data": {"rate": 0}}, 901)
        await asyncio.sleep(30)
        warm = [size for at, size in seen if at >= min(WARM_UP, minutes * 10)]
        part = max(1, len(warm) // 5)
        first, last = (sum(sizes) / len(sizes) for sizes in (warm[:part], warm[-part:]))
        print(f"first fifth {first / MEBIBYTE:.1f} MiB, last fifth {last / MEBIBYTE:.1f} MiB: {last / first - 1:+.1%}")
        print(
            f"heard {sum(c.heard for c in crowd):,}, missed {sum(c.missed for c in crowd)},",
            f"twice {sum(c.twice for c in crowd)}, not recovered {sum(c.unrecovered for c in crowd)}",
        )
        await asyncio.gather(*(client.go() for client in [*crowd, witness]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="that listen (200)")
    parser.add_argument("--minutes", type=float, default=30, help="that it takes (30)")
    given = parser.parse_args()
    asyncio.run(main(given.clients, given.minutes))
