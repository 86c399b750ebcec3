"""Processes that share a database, and processes that are killed: chat's lane keeps its promise."""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sender import Order, make_kit
from sqlalchemy import func, select

from corekit import Actor, Corekit
from corekit.contracts.auth import Auth
from corekit.contracts.messaging import CreateConversation, MessageSent, Messaging
from corekit.data import DatabaseSettings
from corekit.data.outbox import OutboxRow
from corekit.values import parse_id
from corekit_chat.models import ConversationRow, MessageRow


class Town:
    """A kit with rooms of one person, and processes that send there."""

    def __init__(self, kit: Corekit, database: DatabaseSettings, folder: Path, person: UUID, rooms: list[UUID]) -> None:
        self.kit = kit
        self.rooms = rooms
        self._started: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        self._order = Order(database, str(folder), rooms, person, first=0, last=0, keys=1, tasks=1)

    def start(self, name: str, **changes: Any) -> "subprocess.Popen[bytes]":
        """Start a process; what it says goes to the file `name`."""
        order = msgspec.json.encode(msgspec.structs.replace(self._order, **changes)).decode()
        script = Path(__file__).parent / "sender.py"
        with (self._folder / name).open("ab") as out, (self._folder / "errors").open("ab") as errors:
            process = subprocess.Popen([sys.executable, script, order], stdout=out, stderr=errors)
        self._started.append(process)
        return process

    async def end(self, *processes: "subprocess.Popen[bytes]") -> None:
        """Wait for processes that come to an end by themselves."""
        codes = [await asyncio.to_thread(process.wait, 100) for process in processes]
        assert not any(codes), (self._folder / "errors").read_text()[-3000:]

    def said(self, name: str) -> list[list[str]]:
        """Read what a process said, whole lines only."""
        return [line.split() for line in (self._folder / name).read_text().split("\n")[:-1]]

    def kill(self) -> None:
        """Kill whatever runs."""
        for process in self._started:
            process.kill()
            process.wait()

    async def demand_whole(self) -> dict[str, int]:
        """Check that no place is missing or taken twice and each message is told once; return the keys' places."""
        places: dict[str, int] = {}
        async with self.kit.caller().system("chat").begin() as ctx:
            # What a killed process had sent may still be at work in the server: the lock waits for it.
            await ctx.session.execute(select(ConversationRow.id).order_by(ConversationRow.id).with_for_update())
            for room in self.rooms:
                rows = (await ctx.session.scalars(select(MessageRow).where(MessageRow.conversation == room))).all()
                counters = await ctx.session.get_one(ConversationRow, room)
                assert sorted(row.seq for row in rows) == list(range(1, len(rows) + 1))
                assert sorted(row.no for row in rows) == list(range(1, len(rows) + 1))
                assert counters.last_seq == counters.message_count == len(rows)
                assert len({row.client_id for row in rows}) == len(rows)
                places |= {row.client_id: row.seq for row in rows}
            tag = MessageSent.__struct_config__.tag
            events = (await ctx.session.scalars(select(OutboxRow.payload).where(OutboxRow.tag == tag))).all()
            messages = await ctx.session.scalar(select(func.count()).select_from(MessageRow))
        told = {msgspec.json.decode(event, type=MessageSent).message for event in events}
        assert len(told) == len(events) == messages
        return places


@pytest.fixture
async def town(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Town]:
    """Make six rooms."""
    async with make_kit(database, str(tmp_path)) as kit:
        signed_up = await kit.get(Auth).sign_up(kit.caller(), email="ann@example.com", password=uuid4().hex)
        rooms = []
        for number in range(6):
            async with kit.context(Actor(signed_up.user_id)) as ctx:
                request = CreateConversation(kind="group", title=str(number))
                rooms.append(parse_id("cnv", (await kit.get(Messaging).create(ctx, request))[0].id))
        town = Town(kit, database, tmp_path, signed_up.user_id, rooms)
        try:
            yield town
        finally:
            town.kill()


async def test_two_processes_with_the_same_keys(town: Town) -> None:
    """2 processes × 8 senders, 400 sends of 25 keys."""
    town.rooms = town.rooms[:1]
    names = ("one", "two")
    await town.end(*(town.start(name, rooms=town.rooms, last=200, keys=25, tasks=8) for name in names))
    places = await town.demand_whole()
    assert sorted(places.values()) == list(range(1, 26))
    answers = [line for name in names for line in town.said(name) if line[0] != "again"]
    assert len(answers) == 400
    assert sum(dup == "False" for _, _, dup in answers) == 25
    assert all(places[key] == int(seq) for key, seq, _ in answers)


async def test_batches_over_the_same_rooms_in_opposite_order(town: Town, database: DatabaseSettings) -> None:
    if not database.url.startswith("postgresql"):
        pytest.skip("SQLite has one lock")
    one = town.start("one", last=1500, keys=1500, tasks=24)
    two = town.start("two", last=1500, keys=1500, tasks=24, rooms=town.rooms[::-1])
    await town.end(one, two)
    await town.demand_whole()
    assert [line for name in ("one", "two") for line in town.said(name) if line[0] == "again"] == []


async def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(town: Town) -> None:
    """Killed three times in the middle of a load; the next one begins with keys that are stored already."""
    chance = random.Random(7)  # noqa: S311  # moments, not secrets
    acknowledged: dict[str, int] = {}
    for turn in range(3):
        first = max(0, len(acknowledged) - 50)
        town.start(str(turn), first=first, last=10**6, keys=10**6, tasks=24)
        async with asyncio.timeout(60):
            while not town.said(str(turn)):
                await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        town.kill()
        said = {line[0]: int(line[1]) for line in town.said(str(turn)) if line[0] != "again"}
        assert all(acknowledged.get(key, seq) == seq for key, seq in said.items())
        acknowledged |= said
        places = await town.demand_whole()
        assert {key: places.get(key) for key in acknowledged} == acknowledged
    assert len(acknowledged) > 100
