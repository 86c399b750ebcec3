"""A reconnect storm: all clients of an address are cut at once, presence on, while messages go on.

`uv run python benchmarks/storm.py`; tells when the last one was back, whether anybody missed a message or heard one
twice, and what somebody who was not cut noticed. Goals: under 30 s, nothing lost.
"""

import argparse
import asyncio
import time

from crowd import Client, latency, served
from served_auth import cpu_seconds, pin

RATE = 50.0
PATIENCE = 120.0


async def main(count: int) -> None:
    """Gather, cut, wait, count."""
    pin(1)
    async with served() as (port, pid):
        pin(0, pid)
        crowd = []
        for number in range(count):
            crowd.append(Client(number, port))
            if number % 50 == 49:
                await asyncio.gather(*(client.back.wait() for client in crowd[-50:]))
        witness = Client(0, port)
        await asyncio.gather(*(client.back.wait() for client in [*crowd, witness]))
        await witness.ask("rpc", {"method": "crowd.pace", "data": {"rate": RATE}}, 900)
        ends = time.monotonic() + 5
        calm = await latency(witness, lambda: time.monotonic() > ends)
        spent, began = cpu_seconds(pid), time.monotonic()
        for client in crowd:
            client.cut()
        returning = asyncio.gather(*(client.back.wait() for client in crowd))
        stormy = await latency(witness, lambda: returning.done() or time.monotonic() > began + PATIENCE)
        took, spent = time.monotonic() - began, cpu_seconds(pid) - spent
        print(f"all {count:,} back: {returning.done()}, after {took:.1f} s and {spent:.1f} s of the server's CPU time")
        ends = (await witness.ask("rpc", {"method": "crowd.pace", "data": {"rate": 0}}, 901))["rpc"]["data"]
        await asyncio.sleep(2)
        behind = sum(client.place.offset != ends.get(str(number % 100), 0) for number, client in enumerate(crowd))
        print(
            f"missed {sum(c.missed for c in crowd)}, twice {sum(c.twice for c in crowd)}, behind {behind},",
            f"not recovered {sum(c.unrecovered for c in crowd)}, attempts refused {sum(c.refused for c in crowd)}",
        )
        for name, values in (("before", calm), ("meanwhile", stormy)):
            p50, p99 = values[len(values) // 2], values[int(len(values) * 0.99)]
            print(f"a call of somebody else, {name:<9}: p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(values)}")
        await asyncio.gather(*(client.go() for client in [*crowd, witness]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=2000, help="that are cut (2,000)")
    asyncio.run(main(parser.parse_args().clients))
