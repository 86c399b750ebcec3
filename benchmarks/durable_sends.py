"""Durable sends through the whole service: against raw `sqlite3`, and with a worker and three listeners, in one run."""

import asyncio
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from kit_for_lanes import BODY, Run, Town, line, race, town
from lane_sqlite import raw

from corekit import Actor, Context, Plugin, Settings, on
from corekit.contracts.messaging import MessageSent, Messaging, PostMessage
from corekit.testing import PostgresServer
from corekit.values import typeid

SENDS = 500
ROUNDS = 4
SENDERS = (1, 8, 32)


class Listening(Plugin[Settings]):
    """Three listeners that do nothing: what they cost is the machinery."""

    name = "listening"

    @on(MessageSent)
    async def one(self, ctx: Context, event: MessageSent) -> None: ...

    @on(MessageSent)
    async def two(self, ctx: Context, event: MessageSent) -> None: ...

    @on(MessageSent)
    async def three(self, ctx: Context, event: MessageSent) -> None: ...


async def service(place: Town, senders: int) -> Run:
    """Send at once, each sender awaiting its own answer."""
    messaging = place.kit.get(Messaging)
    callers = [place.kit.caller(Actor(person)) for person in place.people]
    conv = typeid("cnv", place.conversations[0])
    return await race(
        senders,
        SENDS,
        lambda sender, _: messaging.send(callers[sender], conv, PostMessage(client_id=uuid4().hex, body=BODY)),
    )


async def main(folder: Path, bare_url: str | None = None, heard_url: str | None = None) -> None:
    """Take turns, and print medians."""
    async with (
        town(folder / "bare", bare_url, 1) as bare,
        town(folder / "heard", heard_url, 1, [Listening()], worker=True) as heard,
    ):
        base: list[Run] = []
        alone: dict[int, list[Run]] = {senders: [] for senders in SENDERS}
        listened: dict[int, list[Run]] = {senders: [] for senders in SENDERS}
        for _ in range(ROUNDS):
            if bare_url is None:
                base.append(await asyncio.to_thread(raw, bare, hot=True))
            for senders in SENDERS:
                alone[senders].append(await service(bare, senders))
                listened[senders].append(await service(heard, senders))
    if base:
        print(line("raw sqlite3, one commit per send", base, base, "itself"))
    for senders in SENDERS:
        print(line(f"send, {senders} senders", alone[senders], base or alone[1], "raw" if base else "1 sender"))
        print(line(f"send, {senders} senders, worker, 3 listeners", listened[senders], alone[senders], "bare"))
    print("goal: with the worker and three listeners ≥ 0.50 × bare")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        if "postgresql" in sys.argv:
            with PostgresServer.started() as server, server.database() as one, server.database() as other:
                asyncio.run(main(Path(name), one, other))
        else:
            asyncio.run(main(Path(name)))
